"""The suggester process: keeps candidates ready ahead of demand in every running experiment.

`python -m service.background.suggester --database URL`. Quasi-random candidates are drawn
here, at once; those of the model come from a child process (`model_worker`), so that a slow,
hung or crashed model never keeps a worker idle. Any number of suggesters may share a database:
the transaction that adds candidates keeps to pool and budget, and what comes too late is
dropped. This process imports neither torch nor Ax and takes about 140 MB.
"""

import argparse
import logging
import os
import signal
import threading
from collections.abc import Sequence
from types import FrameType

from service.background.candidate_pool import CandidatePools
from service.background.insight_desk import InsightDesk, Insights
from service.background.model_process import MODEL_COMMAND, ModelProcess
from service.background.suggestion_rounds import SuggestionRounds
from service.domain.errors import Unavailable
from service.logs import configure_logs
from service.storage.database import Database

ROUND_EVERY_S = 0.5
ANSWER_EVERY_S = 0.1
DATABASE_RETRY_S = 2.0

_logger = logging.getLogger(__name__)


def keep_suggesting(
    database: Database,
    stop: threading.Event,
    parent_pid: int | None = None,
    model_command: Sequence[str] = MODEL_COMMAND,
) -> None:
    """Rounds until `stop` is set, or until `parent_pid` is no longer this process's parent."""
    model = ModelProcess(model_command)
    desk = InsightDesk(Insights(database), model)
    rounds = SuggestionRounds(CandidatePools(database), model, desk)
    try:
        while not stop.is_set() and parent_pid in (None, os.getppid()):
            try:
                rounds.run()
                for _ in range(round(ROUND_EVERY_S / ANSWER_EVERY_S)):
                    if stop.wait(ANSWER_EVERY_S) or model.has_message():
                        break
            except Unavailable as error:
                _logger.warning("%s Trying again in %g s.", error, DATABASE_RETRY_S)
                stop.wait(DATABASE_RETRY_S)
    finally:
        model.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs until SIGTERM, SIGINT or the parent's death."""
    parser = argparse.ArgumentParser(
        prog="python -m service.background.suggester", description="Keeps candidates ready."
    )
    parser.add_argument(
        "--database",
        default=os.environ.get("ARCHFRONT_DATABASE_URL"),
        help="URL of the database; by default $ARCHFRONT_DATABASE_URL",
    )
    parser.add_argument("--parent-pid", type=int, help="end when this is no longer the parent")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--log-level", default="INFO")
    given = parser.parse_args(arguments)
    if given.database is None:
        parser.error("name the database: --database URL, or set ARCHFRONT_DATABASE_URL")
    configure_logs(given.log_format, given.log_level)
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    database = Database(given.database)
    try:
        keep_suggesting(database, stop, given.parent_pid)
    finally:
        database.dispose()


if __name__ == "__main__":
    main()
