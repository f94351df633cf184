"""Keeps the reference network exported and calibrated, once per device, runtime and version."""

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

from search_spaces.values import Value
from workers.durable_file import write_durably
from workers.measurement.device_profile import DeviceProfile
from workers.measurement.latency import time_alone
from workers.measurement.reference_network import (
    REFERENCE_NAME,
    build_reference,
    reference_input,
)
from workers.measurement.timed_block import Clocks, Invoke
from workers.runtimes.runtime import Runtime

_CALIBRATION_FILE = "calibration.json"


class Calibration(Value):
    """What one inference of the reference takes on a device.

    latency_ms, sem_ms: median and standard error over `n` timed blocks in fresh sessions.
    Its error is common to all latencies of the device and no part of their own sem.
    """

    reference: str
    runtime: str
    runtime_version: str
    threads: int
    clock: str
    latency_ms: float
    sem_ms: float
    n: int
    calibrated_at: datetime
    file: str
    file_sha256: str
    device: DeviceProfile


@dataclass(frozen=True)
class Reference:
    """The exported reference network and its calibration."""

    path: Path
    calibration: Calibration


def calibrated_reference(
    runtime: Runtime, threads: int, clocks: Clocks, device: DeviceProfile, cache_folder: Path
) -> Reference:
    """The reference out of the cache, or exported and calibrated now (some 4 s) and kept there.

    Whoever comes second waits and takes what the first has found, so that all workers of a host
    count in the same milliseconds. To calibrate anew, delete the folder `reference` of the cache.
    """
    base = cache_folder / "reference"
    base.mkdir(parents=True, exist_ok=True)
    folder = base / (
        f"{REFERENCE_NAME}-{runtime.name}-{runtime.version()}-{threads}-threads-{device.key}"
    )
    with _held(base / f".{folder.name}.lock"):
        kept = _read(folder)
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=base, prefix=".making-") as making:
                _make(runtime, threads, clocks, device, Path(making))
                shutil.copytree(making, folder)
            kept = _read(folder)
            if kept is None:
                raise OSError(f"{folder} was written but cannot be read back; check the disk")
    return kept


def load_reference(runtime: Runtime, path: Path, threads: int) -> Invoke:
    """A fresh session on the reference's input, ready to invoke."""
    session = runtime.load(path, threads)
    session.prepare(reference_input())
    return session.invoke


def _make(
    runtime: Runtime, threads: int, clocks: Clocks, device: DeviceProfile, folder: Path
) -> None:
    exported = runtime.export(build_reference(), reference_input(), folder)
    median_ns = time_alone(
        lambda _: load_reference(runtime, exported.path, threads), clocks, seed=0
    )
    calibration = Calibration(
        reference=REFERENCE_NAME,
        runtime=runtime.name,
        runtime_version=runtime.version(),
        threads=threads,
        clock=clocks.work_name,
        latency_ms=median_ns.value / 1e6,
        sem_ms=median_ns.sem / 1e6,
        n=median_ns.n,
        calibrated_at=datetime.now(UTC).replace(microsecond=0),
        file=exported.path.name,
        file_sha256=_sha256(exported.path),
        device=device,
    )
    write_durably(folder / _CALIBRATION_FILE, calibration.model_dump_json(indent=2).encode())


def _read(folder: Path) -> Reference | None:
    """What the folder keeps; None if it is not there whole."""
    try:
        calibration = Calibration.model_validate_json((folder / _CALIBRATION_FILE).read_bytes())
        path = folder / calibration.file
        whole = _sha256(path) == calibration.file_sha256
    except (OSError, ValidationError):
        return None
    return Reference(path, calibration) if whole else None


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
