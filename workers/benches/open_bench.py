"""Opens the bench that a stage measures on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.benches.bench import Bench
from workers.benches.carried_program import carried_program
from workers.benches.in_process import InProcessBench
from workers.benches.own_runner import own_runner
from workers.benches.remote_python import RemotePython
from workers.devices.connect import connect
from workers.devices.device import Device
from workers.devices.devices_file import (
    AdbEntry,
    CudaEntry,
    Entry,
    LocalEntry,
    Runner,
    SshEntry,
)
from workers.devices.probe import Probed, probe
from workers.environment import package_versions
from workers.errors import GrantRefused
from workers.runtimes.errors import RuntimeMissing
from workers.runtimes.runtime import Runtime


@contextmanager
def open_bench(
    entry: Entry | None,
    device_name: str,
    runtime: Runtime,
    work_folder: Path,
) -> Iterator[Bench]:
    """The bench for one measurement in `runtime`; nothing of it is left on the device afterwards.

    entry: None for the host that this runs on.
    device_name: as the worker has offered it.
    Raises: GrantRefused if another device answers than that was offered; RuntimeMissing;
        DeviceUnreachable, DeviceTimedOut and DeviceCommandFailed.
    """
    if entry is None or isinstance(entry, LocalEntry):
        cores = None if entry is None else entry.cores
        yield InProcessBench(runtime, device_name, work_folder, cores)
        return
    if isinstance(entry, CudaEntry):
        from workers.benches.gpu import gpu_bench  # noqa: PLC0415  (torch)

        with gpu_bench(entry.gpu, entry.device) as gpu:
            _refuse_another(entry, gpu.device, device_name)
            yield gpu
        return
    device = connect(entry)
    try:
        probed = _probed(device, entry, device_name)
        if isinstance(entry, AdbEntry):
            runner = _runner(entry, runtime.name)
            with own_runner(device, probed, runner, entry.cores, work_folder) as runner_bench:
                yield runner_bench
            return
        python = RemotePython(entry.python, entry.cores)
        with carried_program(device, probed, runtime.name, python, work_folder) as program_bench:
            yield program_bench
    finally:
        device.close()


def _probed(device: Device, entry: SshEntry | AdbEntry, offered: str) -> Probed:
    found = probe(device, package_versions().get("torch"))
    name = entry.device or found.name
    _refuse_another(entry, name, offered)
    return Probed(name, found.profile)


def _refuse_another(entry: Entry, found: str, offered: str) -> None:
    if found != offered:
        raise GrantRefused(
            f"the device of {', '.join(entry.targets)} is now {found}, but was {offered} when the "
            "worker started; start the worker anew if that was meant"
        )


def _runner(entry: AdbEntry, runtime: str) -> Runner:
    for runner in entry.runners:
        if runner.runtime == runtime:
            return runner
    raise RuntimeMissing(
        f"the devices file has no runner of {runtime!r} for {', '.join(entry.targets)}; add one to "
        "`runners`"
    )
