"""What runs as a Slurm job: one stage, as a process there, in the folder shared with the worker."""

import socket
from collections.abc import Sequence
from pathlib import Path

from workers.engines.local import ProcessRun
from workers.stage_order import StageOrder
from workers.stage_result import STAGE_RESULT, StageFailed
from workers.work_folder import WorkFolder

STARTS_FILE = "starts"
"""Holds a line for each start of the stage, with the machine's name."""

_LOOK_S = 0.5


def run_job(order_json: str, program: Sequence[str], retries: int) -> str:
    """Runs the stage here and gives its result as JSON; the body of the job.

    Slurm may requeue a job whose machine died or that was preempted: then it starts anew.
    """
    order = StageOrder.model_validate_json(order_json)
    folder = order.folder
    starts = _note_start(folder)
    if starts > retries + 1:
        failed = StageFailed(fault="machine", message=f"Slurm started the stage {starts} times.")
        return STAGE_RESULT.dump_json(failed).decode()
    order.cache_folder.mkdir(parents=True, exist_ok=True)
    with ProcessRun(order, program=program) as run:
        while (result := run.wait(_LOOK_S)) is None:
            if folder.stop_flag.exists():
                run.stop()
    return STAGE_RESULT.dump_json(result).decode()


def _note_start(folder: WorkFolder) -> int:
    host = socket.gethostname()
    path = folder.path / STARTS_FILE
    _append(path, f"{host}\n")
    starts = len(path.read_text().splitlines())
    if starts > 1:
        _append(folder.curve, "\n")  # what was left unfinished of a line is no point
        _append(folder.log, f"\n[requeued; Slurm started the stage anew on {host}]\n")
    return starts


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)
