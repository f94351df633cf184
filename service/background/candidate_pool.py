"""The pools of candidates in one database, as the suggester fills them."""

import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from service.domain.errors import ArchfrontError, SearchSpaceExhausted, Unavailable
from service.domain.experiment import OptimizerSettings
from service.domain.trial import FALLBACK_SOURCE
from service.optimizer.optimizer import Suggestion, SuggestRequest, find_optimizer
from service.optimizer.sobol import SobolOptimizer
from service.storage.database import Database
from service.storage.experiments import find_experiment, record_change
from service.use_cases.candidate_pool import PoolNeed, pool_state, pools_in_need
from service.use_cases.instant_candidate import FALLBACK_EVENT
from service.use_cases.note_model_trouble import note_model_recovery, note_model_trouble
from service.use_cases.top_up_candidates import (
    add_candidates,
    note_space_exhausted,
    renew_pool,
    suggestion_request,
)

_logger = logging.getLogger(__name__)


class CandidatePools:
    """The pools of all experiments in one database. Every method may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_need(self) -> list[PoolNeed]:
        """The pools that lack candidates, or whose candidates older results proposed."""
        with self._database.read() as connection:
            return pools_in_need(connection)

    def request_of(self, experiment_id: str) -> SuggestRequest | None:
        """What to ask an optimizer; None if the pool needs nothing after all."""
        with self._database.read() as connection:
            return suggestion_request(connection, experiment_id)

    def settings_of(self, experiment_id: str) -> OptimizerSettings:
        """How long a worker may wait for the model, and how long the model may take."""
        with self._database.read() as connection:
            return find_experiment(connection, experiment_id).spec.optimizer

    def renew(
        self, experiment_id: str, request: SuggestRequest, suggestions: Sequence[Suggestion]
    ) -> bool:
        """Puts the model's answer into the pool; whether it was of any use."""

        def act(connection: Connection) -> bool:
            note_model_recovery(connection, experiment_id)
            return not renew_pool(connection, experiment_id, request, suggestions).is_nothing

        return self._unless_too_late(experiment_id, act)

    def answer_at_once(self, experiment_id: str, request: SuggestRequest) -> bool:
        """Answers a request that needs no model; whether anything was added."""
        try:
            suggestions = find_optimizer(request.strategy).suggest(request)
        except SearchSpaceExhausted as error:
            self.note_exhausted(experiment_id, str(error))
            return False
        return self._unless_too_late(
            experiment_id,
            lambda connection: bool(add_candidates(connection, experiment_id, suggestions)),
        )

    def fall_back(self, experiment_id: str, reason: str, count: int | None = None) -> bool:
        """Fills in for the model with `count` quasi-random candidates (None: all that lack).

        Each says for what reason, and so does an event. Whether there was anything to add.
        """
        with self._database.read() as connection:
            pool = pool_state(connection, find_experiment(connection, experiment_id))
            request = suggestion_request(connection, experiment_id)
        if request is None or not pool.shortage:
            return False
        # What stands in the pool stays there, whatever the model was to make of it.
        known = request.pending + request.replaceable
        wanted = min(pool.shortage, count or pool.shortage)
        lacking = request.model_copy(update={"pending": known, "replaceable": (), "count": wanted})
        try:
            drawn = SobolOptimizer().suggest(lacking)
        except SearchSpaceExhausted as error:
            self.note_exhausted(experiment_id, str(error))
            return False
        note = {"why": f"Quasi-random, in the model's stead. {reason}"}
        stand_ins = [Suggestion(arm=one.arm, source=FALLBACK_SOURCE, note=note) for one in drawn]

        def act(connection: Connection) -> bool:
            trials = add_candidates(connection, experiment_id, stand_ins, stand_in=True)
            for trial in trials:
                record_change(connection, experiment_id, FALLBACK_EVENT, trial.number, trial.note)
            return bool(trials)

        return self._unless_too_late(experiment_id, act)

    def note_trouble(self, experiment_id: str, reason: str) -> None:
        """Says on the experiment why the model gave no suggestion."""

        def act(connection: Connection) -> bool:
            note_model_trouble(connection, experiment_id, reason)
            return True

        self._unless_too_late(experiment_id, act)

    def note_exhausted(self, experiment_id: str, reason: str) -> None:
        """Records that no new arm is left."""
        _logger.info("Experiment %s: %s", experiment_id, reason)
        with self._database.write() as connection:
            note_space_exhausted(connection, experiment_id)

    def _unless_too_late(self, experiment_id: str, act: Callable[[Connection], bool]) -> bool:
        try:
            with self._database.write() as connection:
                return act(connection)
        except Unavailable:
            raise
        except ArchfrontError as error:  # paused, stopped or deleted meanwhile
            _logger.info("Candidates of experiment %s came too late: %s", experiment_id, error)
            return False
