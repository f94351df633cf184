"""Keeps the reference network exported and calibrated, once per device, runtime and version.

Its later calibrations are kept beside it: see `calibration_history`.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from service.domain.calibration import Calibration
from service.domain.device import DeviceProfile
from workers.benches.bench import Bench
from workers.durable_file import write_durably
from workers.measurement.calibration_history import continue_history
from workers.measurement.reference_network import (
    ReferenceShape,
    build_reference,
    reference_input,
)
from workers.measurement.runnable import Runnable
from workers.runtimes.runtime import Runtime

_CALIBRATION_FILE = "calibration.json"


class KeptCalibration(Calibration):
    """The first calibration, and the exported network that it was taken with.

    Its error is common to all latencies of the device and no part of their own sem.
    """

    file: str
    file_sha256: str
    device: DeviceProfile


@dataclass(frozen=True)
class Reference:
    """The exported reference network and its calibration, in which latencies are counted.

    history: that calibration and the later ones, the newest last.
    """

    path: Path
    calibration: Calibration
    history: tuple[Calibration, ...]

    @property
    def runnable(self) -> Runnable:
        """It, with its input."""
        return reference_runnable(self.path)


def calibrated_reference(
    shape: ReferenceShape, runtime: Runtime, bench: Bench, threads: int, cache_folder: Path
) -> Reference:
    """The reference out of the cache, or exported and calibrated now (some 4 s) and kept there.

    Each device has its own. Whoever comes second waits and takes what the first has found, so
    that all workers of a host count in the same milliseconds. To calibrate anew, delete the folder
    `reference` of the cache. Now and then the reference is timed again for the device's history
    (some 1 s), which changes no milliseconds: see `calibration_history`.
    """
    base = cache_folder / "reference"
    base.mkdir(parents=True, exist_ok=True)
    device = hashlib.sha256(f"{bench.device}|{bench.profile.key}".encode()).hexdigest()[:12]
    version = bench.runtime_version()
    folder = base / f"{shape.name}-{runtime.name}-{version}-{threads}-threads-{device}"
    with _held(base / f".{folder.name}.lock"):
        kept = _read(folder)
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=base, prefix=".making-") as making:
                _make(shape, runtime, bench, threads, Path(making))
                shutil.copytree(making, folder)
            kept = _read(folder)
            if kept is None:
                raise OSError(f"{folder} was written but cannot be read back; check the disk")
        path, calibration = kept
        history = continue_history(
            base / f"{folder.name}.history.jsonl",
            calibration,
            lambda: _calibrate(shape, runtime, bench, threads, path),
            datetime.now(UTC),
        )
    return Reference(path, calibration, tuple(history))


def reference_runnable(path: Path) -> Runnable:
    """The exported reference at `path`, with its input."""
    return Runnable(path, [tuple(tensor.numpy() for tensor in reference_input())])


def _make(
    shape: ReferenceShape, runtime: Runtime, bench: Bench, threads: int, folder: Path
) -> None:
    exported = runtime.export(build_reference(shape), reference_input(), folder)
    kept = KeptCalibration(
        **_calibrate(shape, runtime, bench, threads, exported.path).model_dump(),
        file=exported.path.name,
        file_sha256=_sha256(exported.path),
        device=bench.profile,
    )
    write_durably(folder / _CALIBRATION_FILE, kept.model_dump_json(indent=2).encode())


def _calibrate(
    shape: ReferenceShape, runtime: Runtime, bench: Bench, threads: int, path: Path
) -> Calibration:
    median_ns = bench.calibrate(reference_runnable(path), threads)
    return Calibration(
        reference=shape.name,
        runtime=runtime.name,
        runtime_version=bench.runtime_version(),
        threads=threads,
        clock=bench.clock(threads),
        latency_ms=median_ns.value / 1e6,
        sem_ms=median_ns.sem / 1e6,
        n=median_ns.n,
        calibrated_at=datetime.now(UTC).replace(microsecond=0),
    )


def _read(folder: Path) -> tuple[Path, Calibration] | None:
    """The network and its calibration as the folder keeps them; None if it is not whole."""
    try:
        kept = KeptCalibration.model_validate_json((folder / _CALIBRATION_FILE).read_bytes())
        path = folder / kept.file
        whole = _sha256(path) == kept.file_sha256
    except (OSError, ValidationError):
        return None
    calibration = {name: getattr(kept, name) for name in Calibration.model_fields}
    return (path, Calibration(**calibration)) if whole else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """Nobody else on this machine is inside at the same time; a dead holder lets go."""
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
