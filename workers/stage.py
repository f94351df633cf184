"""Works off one order inside the stage process, and writes down how it ended."""

import faulthandler
import os
import traceback
from pathlib import Path

from search_spaces.registry import installed_registry
from workers.blame import blame
from workers.durable_file import write_durably
from workers.errors import GrantRefused
from workers.stage_order import StageOrder
from workers.stage_result import StageCompleted, StageFailed, StageInfeasible


def run_order(order_path: Path) -> None:
    """Does what the order says; whatever comes of it stands in the work folder's result file."""
    faulthandler.enable()  # a segfault shall leave its stack in the log
    order = StageOrder.model_validate_json(order_path.read_bytes())
    result = perform(order)
    write_durably(order.folder.result, result.model_dump_json().encode())


def perform(order: StageOrder) -> StageCompleted | StageInfeasible | StageFailed:
    """The stage's result; any error, also an attempt to exit, becomes one by whose fault it is."""
    try:
        return _perform(order)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (a recipe may raise anything)
        traceback.print_exception(error)
        return blame(error)


def _perform(order: StageOrder) -> StageCompleted:
    # Imported here, so that a missing package becomes a result like any other error.
    import torch  # noqa: PLC0415

    from workers.training.seeding import seed_everything  # noqa: PLC0415

    if order.cores is not None:
        os.sched_setaffinity(0, order.cores)
    torch.set_num_threads(order.threads)
    seed_everything(order.grant.seed)
    reference = order.grant.search_space
    installed = installed_registry().find(reference.name, reference.version)
    recipe = installed.load_recipe()
    match order.grant.stage_kind:
        case "train":
            from workers.train_stage import train_stage  # noqa: PLC0415

            return train_stage(order, installed.space, recipe)
        case "measure":
            from workers.measure_stage import measure_stage  # noqa: PLC0415

            return measure_stage(order, installed.space, recipe)
        case kind:
            raise GrantRefused(f"This worker cannot work off a stage of kind {kind!r}.")
