"""What this worker tells the server that it is and can do; found out without importing torch."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from search_spaces.space import SearchSpace
from service.schemas.workers import InstalledSpaceReference, WorkerRegistration
from workers.environment import machine_profile, package_versions
from workers.settings import WorkerSettings

_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")

_RUNTIME_MODULES = {
    "onnxruntime": ("onnxruntime", "onnx", "onnxscript"),
    "executorch": ("executorch",),
}


def machine_device() -> str:
    """Names this machine as a measuring device: the same for all its workers, after restarts too.

    A digest, for a machine's id is not to leave it. Containers that share a processor but not
    an id have to be given one device by hand.
    """
    host = platform.node()
    for path in map(Path, _MACHINE_ID_FILES):
        if path.exists() and (machine_id := path.read_text().strip()):
            digest = hashlib.sha256(f"archfront device {machine_id}".encode()).hexdigest()
            return f"{host}-{digest[:12]}"
    return host


def installed_runtimes() -> tuple[str, ...]:
    """The runtimes whose packages are installed."""
    return tuple(
        runtime
        for runtime, modules in _RUNTIME_MODULES.items()
        if all(find_spec(module) is not None for module in modules)
    )


def registration(
    name: str, settings: WorkerSettings, search_spaces: Iterable[SearchSpace]
) -> WorkerRegistration:
    """The worker called `name` as it registers; without torch it trains and measures nothing."""
    versions = package_versions()
    can_compute = "torch" in versions
    return WorkerRegistration(
        name=name,
        device=settings.device or machine_device(),
        slots=settings.slots,
        stages=settings.stages,
        search_spaces=tuple(
            InstalledSpaceReference(name=space.name, version=space.version)
            for space in search_spaces
        )
        if can_compute
        else (),
        runtimes=installed_runtimes() if can_compute else (),
        targets=settings.targets,
        labels=settings.labels,
        profile={**machine_profile(), "packages": versions},
        version=versions.get("archfront", ""),
    )
