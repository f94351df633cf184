"""The process under callgrind: `python -m workers.measurement.instruction_count_process ORDER`.

It comes up uninstrumented, for that is quicker; it asks for each count in a dump of its own: first
of nothing, then of one inference after the other.
"""

import ctypes
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path

from workers.measurement.array_file import read_arrays
from workers.runtimes.registry import find_loader

_WARM_UP_CALLS = 16  # until the interpreter has specialised the calls themselves
_SETTLING_CALLS = 3  # what is bound anew is laid out at its first use


def main(order: str) -> None:
    """Counts what is ordered; the parent reads the dumps."""
    told = json.loads(order)
    requests = ctypes.CDLL(told["requests_path"])
    toggle = requests.toggle_collecting
    inputs = read_arrays(Path(told["inputs_path"]))
    session = find_loader(told["runtime"]).load(Path(told["path"]), 1)
    session.prepare(inputs[0])
    gc.disable()
    for deed in (_nothing, session.invoke):
        for _ in range(_WARM_UP_CALLS):
            _collect(deed, toggle)
    requests.start_instrumentation()
    _collect(_nothing, toggle)
    requests.dump_counts()
    for number in range(told["inferences"]):
        session.prepare(inputs[number % len(inputs)])
        for _ in range(_SETTLING_CALLS):
            session.invoke()
        _collect(session.invoke, toggle)
        requests.dump_counts()


def _collect(deed: Callable[[], None], toggle: Callable[[], object]) -> None:
    toggle()
    deed()
    toggle()


def _nothing() -> None:
    """Stands in for an inference."""


if __name__ == "__main__":
    main(sys.argv[1])
