"""The fresh process of `peak_memory`: `python -m workers.measurement.peak_memory_process ORDER`.

The baseline is the resident set once the runtime is imported and has run the reference network,
so that its code and its own pools are there already: what is left is the network's own weights,
packed weights and buffers, and the transient peak of loading. Small parts of it may be memory
that the reference has freed and the process has kept; the figure is low by so much.
"""

import ctypes
import gc
import json
import resource
import sys
from pathlib import Path

import numpy as np

from workers.runtimes.registry import find_loader
from workers.runtimes.runtime import Loader

_RUNS = 3
_KIB = 1024


def main(order: str) -> None:
    """Prints the rise in bytes and the method by which it was read, as one line of JSON."""
    told = json.loads(order)
    loader = find_loader(told["runtime"])
    _load_and_run(loader, told["reference_path"], told["reference_inputs_path"], told["threads"])
    _give_back_freed_memory()
    can_reset = _reset_peak()
    baseline_bytes = _peak_bytes()
    _load_and_run(loader, told["path"], told["inputs_path"], told["threads"])
    result = {
        "rise_bytes": _peak_bytes() - baseline_bytes,
        "method": "VmHWM after reset" if can_reset else "ru_maxrss",
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _load_and_run(loader: Loader, path: str, inputs_path: str, threads: int) -> None:
    with np.load(inputs_path) as arrays:
        inputs = [arrays[name] for name in arrays.files]
    session = loader.load(Path(path), threads)
    session.prepare(inputs)
    for _ in range(_RUNS):
        session.invoke()


def _give_back_freed_memory() -> None:
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)


def _reset_peak() -> bool:
    """Sets VmHWM to the present resident set (proc(5), clear_refs); False if it cannot be."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    # Never reset, this peak may lie in the imports: the rise is then the least it can be.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB


if __name__ == "__main__":
    main(sys.argv[1])
