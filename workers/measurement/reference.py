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
from workers.measurement.kept_paces import KeptPaces
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
    def quickest_ms(self) -> float:
        """Of one inference, in the quickest of the calibrations."""
        return min(one.latency_ms for one in (self.calibration, *self.history))

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
    version = bench.runtime_version()
    folder = base / f"{shape.name}-{runtime.name}-{version}-{threads}-threads-{_device_key(bench)}"
    calibrating = _Calibrating(shape, runtime, bench, threads, kept_paces(bench, cache_folder))
    with _held(base / f".{folder.name}.lock"):
        kept = _read(folder)
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=base, prefix=".making-") as making:
                calibrating.make(Path(making))
                shutil.copytree(making, folder)
            kept = _read(folder)
            if kept is None:
                raise OSError(f"{folder} was written but cannot be read back; check the disk")
        path, calibration = kept
        history = continue_history(
            base / f"{folder.name}.history.jsonl",
            calibration,
            lambda: calibrating.calibrate(path),
            datetime.now(UTC),
        )
    return Reference(path, calibration, tuple(history))


def kept_paces(bench: Bench, cache_folder: Path) -> KeptPaces:
    """How quick the bench's device was, as the cache keeps it."""
    return KeptPaces(cache_folder / "reference" / f"{_device_key(bench)}.paces.json")


def _device_key(bench: Bench) -> str:
    return hashlib.sha256(f"{bench.device}|{bench.profile.key}".encode()).hexdigest()[:12]


def reference_runnable(path: Path) -> Runnable:
    """The exported reference at `path`, with its input."""
    return Runnable(path, [tuple(tensor.numpy() for tensor in reference_input())])


@dataclass(frozen=True)
class _Calibrating:
    """What one reference is exported and calibrated with."""

    shape: ReferenceShape
    runtime: Runtime
    bench: Bench
    threads: int
    paces: KeptPaces

    def make(self, folder: Path) -> None:
        exported = self.runtime.export(build_reference(self.shape), reference_input(), folder)
        kept = KeptCalibration(
            **self.calibrate(exported.path).model_dump(),
            file=exported.path.name,
            file_sha256=_sha256(exported.path),
            device=self.bench.profile,
        )
        write_durably(folder / _CALIBRATION_FILE, kept.model_dump_json(indent=2).encode())

    def calibrate(self, path: Path) -> Calibration:
        alone = self.bench.calibrate(
            reference_runnable(path), self.threads, self.paces.quickest_ns()
        )
        self.paces.keep(alone.pace_ns)
        return Calibration(
            reference=self.shape.name,
            runtime=self.runtime.name,
            runtime_version=self.bench.runtime_version(),
            threads=self.threads,
            clock=self.bench.clock(self.threads),
            latency_ms=alone.median_ns.value / 1e6,
            sem_ms=alone.median_ns.sem / 1e6,
            n=alone.median_ns.n,
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
