"""What this worker tells the server that it is and can do; found out without importing torch."""

import logging
import platform
from collections.abc import Iterable
from pathlib import Path

from search_spaces.registry import Registry
from search_spaces.space import SearchSpace
from service.domain.device import OfferedTarget
from service.schemas.workers import InstalledSpaceReference, WorkerRegistration
from workers.devices.probe import device_name
from workers.engines.engine import Offer
from workers.environment import machine_profile, package_versions
from workers.measurement.device_profile import profile_this_host
from workers.optional_metrics import metrics_of_this_host
from workers.runtimes.registry import installed_runtimes
from workers.settings import WorkerSettings

_logger = logging.getLogger(__name__)

_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def machine_device() -> str:
    """Names this machine as a measuring device: the same for all its workers, after restarts too.

    A digest, for a machine's id is not to leave it. Containers that share a processor but not
    an id have to be given one device by hand.
    """
    host = platform.node()
    for path in map(Path, _MACHINE_ID_FILES):
        if path.exists() and (machine_id := path.read_text().strip()):
            return device_name(host, machine_id)
    return host


def offered_targets(device: str, names: Iterable[str]) -> tuple[OfferedTarget, ...]:
    """What can be measured on here: this host, under each of these names."""
    names = tuple(names)
    if not names:
        return ()
    profile, runtimes, metrics = profile_this_host(), installed_runtimes(), metrics_of_this_host()
    return tuple(
        OfferedTarget(name=name, device=device, profile=profile, runtimes=runtimes, metrics=metrics)
        for name in names
    )


def trainable_spaces(registry: Registry) -> tuple[SearchSpace, ...]:
    """Those that this machine has all for; the log tells what the others lack."""
    found = []
    for space in registry:
        missing = registry.find(space.name).missing()
        if missing is None:
            found.append(space)
        else:
            _logger.info("%s is not offered here: %s", space.name, missing)
    return tuple(found)


def registration(
    name: str,
    settings: WorkerSettings,
    search_spaces: Iterable[SearchSpace],
    offer: Offer,
    in_lab: tuple[OfferedTarget, ...] = (),
) -> WorkerRegistration:
    """The worker called `name` as it registers; without torch it trains and measures nothing.

    offer: what the machines have that its stages run on.
    in_lab: the targets on devices beside its own host.
    """
    versions = package_versions()
    can_compute = "torch" in versions
    device = settings.device or machine_device()
    return WorkerRegistration(
        name=name,
        device=device,
        slots=settings.slots,
        stages=settings.stages,
        search_spaces=tuple(
            InstalledSpaceReference(name=space.name, version=space.version)
            for space in search_spaces
        )
        if can_compute
        else (),
        targets=offered_targets(device, settings.targets) + in_lab if can_compute else (),
        labels={**offer.labels, **settings.labels},
        resources={**offer.resources, **settings.resources},
        profile={**machine_profile(), "packages": versions},
        version=versions.get("archfront", ""),
    )
