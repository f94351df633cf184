"""The devices of a worker's devices file: which of them answer, and what they are."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.domain.device import OfferedTarget
from workers.benches.battery import require_battery
from workers.benches.remote_python import RemotePython, runtimes_there
from workers.devices.connect import connect
from workers.devices.device import Device
from workers.devices.devices_file import (
    AdbEntry,
    CudaEntry,
    Entry,
    LocalEntry,
    SshEntry,
    read_devices_file,
)
from workers.devices.gpu_probe import gpu_probed, torch_version_on_gpu
from workers.devices.nvml import Gpu
from workers.devices.probe import Probed, probe
from workers.environment import package_versions
from workers.errors import MetricNotGiven, WorkerError, WorkerSettingsInvalid
from workers.optional_metrics import metrics_of_this_host
from workers.runtimes.registry import CARRIED_RUNTIMES, installed_runtimes
from workers.settings import WorkerSettings

_logger = logging.getLogger(__name__)

_AT_ONCE = 16


@dataclass(frozen=True)
class ReachedDevice:
    """A device that has answered. metrics: the optional ones that it can give."""

    entry: Entry
    probed: Probed
    runtimes: dict[str, str]
    metrics: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[OfferedTarget, ...]:
        """What it is offered as."""
        return tuple(
            OfferedTarget(
                name=target,
                device=self.probed.name,
                profile=self.probed.profile,
                runtimes=self.runtimes,
                metrics=self.metrics,
            )
            for target in self.entry.targets
        )


def lab_of(settings: WorkerSettings, own_device: str) -> "Lab":
    """The lab that the settings name, all its devices asked once.

    Raises: WorkerSettingsInvalid if the devices file is not valid, or names a target that the
        worker's own host is already.
    """
    path = settings.devices_file
    entries = read_devices_file(path) if path is not None else ()
    names = {target for entry in entries for target in entry.targets}
    if taken := sorted(names & set(settings.targets)):
        raise WorkerSettingsInvalid(
            f"The devices file {path} names the target {taken[0]}, which this worker's own host "
            "is already.",
            field="devices_file",
            remedy="Name it otherwise there, or leave it out of --target.",
        )
    lab = Lab(entries, own_device)
    lab.look()
    return lab


class Lab:
    """The devices of a devices file.

    own_device: the name of the worker's own host as a device.
    """

    def __init__(self, entries: Sequence[Entry], own_device: str) -> None:
        self._waiting = list(entries)
        self._own_device = own_device
        self._reached: list[ReachedDevice] = []

    def look(self) -> bool:
        """Asks all devices that have not answered so far; whether any of them did now."""
        waiting = self._waiting
        if not waiting:
            return False
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(self._ask, waiting))
        self._waiting = [entry for entry, one in zip(waiting, found, strict=True) if one is None]
        self._reached += [one for one in found if one is not None]
        return any(found)

    @property
    def is_whole(self) -> bool:
        """Whether all have answered."""
        return not self._waiting

    @property
    def targets(self) -> tuple[OfferedTarget, ...]:
        """What can be measured on."""
        return tuple(target for one in self._reached for target in one.targets)

    def device_of(self, target: str | None) -> ReachedDevice | None:
        """The device behind a target; None if the target is of the worker's own host."""
        return next((one for one in self._reached if target in one.entry.targets), None)

    def _ask(self, entry: Entry) -> ReachedDevice | None:
        device = connect(entry)
        try:
            found = probe(device, package_versions().get("torch"))
            if isinstance(entry, CudaEntry):
                with Gpu(entry.gpu) as gpu:
                    found = gpu_probed(gpu.identity(), found.profile)
            usual = self._own_device if isinstance(entry, LocalEntry) else found.name
            probed = Probed(entry.device or usual, found.profile)
            reached = ReachedDevice(
                entry, probed, _runtimes(device, entry), _metrics(device, entry)
            )
        except WorkerError as error:
            _logger.warning("%s is not offered: %s", ", ".join(entry.targets), error)
            return None
        finally:
            device.close()
        for name in sorted(set(_asked(entry)) - reached.runtimes.keys()):
            _logger.warning(
                "%s is not offered in %s: install it both on this worker, which exports, and on "
                "the device",
                ", ".join(entry.targets),
                name,
            )
        return reached


def _asked(entry: Entry) -> tuple[str, ...]:
    if isinstance(entry, AdbEntry):
        return tuple(runner.runtime for runner in entry.runners)
    return entry.runtimes or ()


def _runtimes(device: Device, entry: Entry) -> dict[str, str]:
    """The versions on the device of those runtimes that this worker can export for it."""
    here = installed_runtimes()
    match entry:
        case LocalEntry():
            there = here
        case SshEntry():
            python = RemotePython(entry.python)
            found = runtimes_there(device, python)
            there = {name: found[name] for name in CARRIED_RUNTIMES if name in found}
        case CudaEntry():
            there = {"torch_eager": torch_version_on_gpu(device)}
        case AdbEntry():
            there = {runner.runtime: runner.version for runner in entry.runners}
    asked = _asked(entry) or tuple(there)
    return {name: there[name] for name in asked if name in there and name in here}


def _metrics(device: Device, entry: Entry) -> tuple[str, ...]:
    """The optional ones that can be given there; why not the others, the log tells."""
    match entry:
        case LocalEntry():
            return metrics_of_this_host()
        case SshEntry():
            return ()
        case CudaEntry():
            with Gpu(entry.gpu) as gpu:
                return ("energy_mj",) if gpu.counts_energy() else ()
        case AdbEntry():
            try:
                require_battery(device.shell)
            except MetricNotGiven as error:
                _logger.info("energy_mj is not offered on %s: %s", ", ".join(entry.targets), error)
                return ()
            return ("energy_mj",)
