"""Looks at the trainings under way and has those stopped that will hardly pay."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.storage.database import Database
from service.storage.learning_curves import trainings_under_way
from service.use_cases.judge_trainings import experiments_to_judge, judge_trainings, stop_judged

_LOG = logging.getLogger("archfront.early_stopper")


class EarlyStopper:
    """Judges each training anew whenever its learning curve has grown.

    Several servers may do so at once: a trial is told to stop once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, int] = {}

    def look(self) -> int:
        """One round; gives how many trainings were told to stop."""
        with self._database.read() as connection:
            experiments = experiments_to_judge(connection)
            judgements = []
            lengths: dict[str, int] = {}
            for experiment in experiments:
                # Read before they are judged: what comes meanwhile is judged in the next round.
                for training in trainings_under_way(connection, experiment.id):
                    lengths[training.lease_id] = training.curve_points
                judgements += judge_trainings(connection, experiment, self._seen)
        self._seen = lengths
        stopped = 0
        for judgement in judgements:
            with self._database.write() as connection:
                if stop_judged(connection, judgement):
                    stopped += 1
                    _LOG.info(
                        "training stopped early",
                        extra={"trial": judgement.trial_number, "reason": judgement.reason},
                    )
        return stopped


@asynccontextmanager
async def stopping_early(database: Database, every_s: float) -> AsyncIterator[None]:
    """Looks every `every_s` while the block runs."""
    task = asyncio.create_task(_look_for_ever(EarlyStopper(database), every_s))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _look_for_ever(stopper: EarlyStopper, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await asyncio.to_thread(stopper.look)
        except Exception:  # noqa: BLE001  (whatever it was, the next round may succeed)
            _LOG.exception("judging trainings failed; trying again", extra={"after_s": every_s})
