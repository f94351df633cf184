"""The measuring program that is carried to devices: `python measure.pyz ORDER.json`.

An order names one deed of `on_device` and the files it needs, all in the order's folder, where
`result.json` and `answers.npz` then appear. `python measure.pyz --runtimes` tells what it could
run networks in. Of ours it has within it what it imports; of others the device's Python needs
numpy and the runtime.
"""

import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search_spaces.recipe import ArmInfeasible
from service.domain.errors import ArchfrontError
from workers.measurement.array_file import read_arrays, write_arrays
from workers.measurement.listener import end_unheard
from workers.measurement.on_device import (
    Procedure,
    calibrate,
    give_answers,
    take_figures,
)
from workers.measurement.plain_json import from_plain, to_plain
from workers.measurement.runnable import Runnable
from workers.runtimes.registry import find_loader, loadable_runtimes

ANSWERS_FILE = "answers.npz"
RESULT_FILE = "result.json"


def main(arguments: list[str]) -> int:
    """Does what is asked; 0 if it could, or if it can say by whose fault it could not."""
    if arguments == ["--runtimes"]:
        sys.stdout.write(json.dumps(loadable_runtimes()) + "\n")
        return 0
    order_path = Path(arguments[0]).absolute()
    folder = order_path.parent
    end_unheard(folder)
    order = json.loads(order_path.read_bytes())
    try:
        result = {"done": _perform(order, folder)}
    except (ArmInfeasible, ArchfrontError) as error:
        traceback.print_exception(error)
        result = {"refused": type(error).__name__, "message": str(error)}
    (folder / RESULT_FILE).write_text(json.dumps(result))
    return 0


def _perform(order: Mapping[str, Any], folder: Path) -> Any:
    loader, threads = find_loader(order["runtime"]), order["threads"]
    if order["cores"] is not None:
        os.sched_setaffinity(0, order["cores"])
    if order["deed"] == "answer":
        candidate = _runnable(order["candidate"], folder)
        write_arrays(folder / ANSWERS_FILE, give_answers(loader, candidate, threads))
        return None
    reference = _runnable(order["reference"], folder)
    if order["deed"] == "calibrate":
        return to_plain(calibrate(loader, reference, threads, order["quickest_pace_ns"]))
    candidate = _runnable(order["candidate"], folder)
    procedure = from_plain(Procedure, order["procedure"])
    return to_plain(take_figures(loader, candidate, reference, procedure, folder))


def _runnable(files: Mapping[str, str], folder: Path) -> Runnable:
    return Runnable(folder / files["network"], read_arrays(folder / files["inputs"]))
