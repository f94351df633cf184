"""A second process that loads all cores in bursts, as neighbours do."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def loaded_cores() -> Iterator[None]:
    """The process runs while the block does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.measurement.load"],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _work_in_bursts(seed: int) -> None:
    matrix, drawing = np.ones((700, 700), np.float32), random.Random(seed)
    while True:
        end = time.monotonic() + drawing.uniform(0.05, 1.5)
        while time.monotonic() < end:
            matrix @ matrix
        time.sleep(drawing.uniform(0.02, 0.3))


if __name__ == "__main__":
    for core in range(os.cpu_count() or 1):
        threading.Thread(target=_work_in_bursts, args=(core,)).start()
