"""An experiment's pool of candidates, as the suggester fills it."""

import logging
from collections.abc import Sequence

from service.domain.errors import ArchfrontError, SearchSpaceExhausted, Unavailable
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Optimizer, Suggestion, SuggestRequest, find_optimizer
from service.optimizer.sobol import SobolOptimizer
from service.storage.database import Database
from service.storage.experiments import find_experiment, record_change, trial_counts
from service.use_cases.top_up_candidates import (
    add_candidates,
    experiments_needing_candidates,
    note_space_exhausted,
    suggestion_request,
)

FALLBACK_SOURCE = "fallback"
"""The source of quasi-random candidates that stand in for the model's."""

FALLBACK_EVENT = "suggester_fallback"

_logger = logging.getLogger(__name__)


class CandidatePools:
    """The pools of all experiments in one database. Every method may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def short(self) -> list[str]:
        """The experiments whose pool is short."""
        with self._database.read() as connection:
            return experiments_needing_candidates(connection)

    def request_of(self, experiment_id: str) -> SuggestRequest | None:
        """What to ask an optimizer; None if the pool needs nothing after all."""
        with self._database.read() as connection:
            return suggestion_request(connection, experiment_id)

    def fallback_after_s(self, experiment_id: str) -> float:
        """How long a worker may wait for the model."""
        with self._database.read() as connection:
            return find_experiment(connection, experiment_id).spec.optimizer.fallback_after_s

    def is_empty(self, experiment_id: str) -> bool:
        """Whether no candidate is ready."""
        with self._database.read() as connection:
            counts = trial_counts(connection, [experiment_id])[experiment_id]
        return counts[TrialStatus.CANDIDATE] == 0

    def add(self, experiment_id: str, suggestions: Sequence[Suggestion]) -> bool:
        """Adds what budget and pool still admit; whether that was anything."""
        try:
            with self._database.write() as connection:
                trials = add_candidates(connection, experiment_id, suggestions)
                for trial in trials:
                    if trial.source == FALLBACK_SOURCE:
                        record_change(
                            connection, experiment_id, FALLBACK_EVENT, trial.number, trial.note
                        )
                return bool(trials)
        except Unavailable:
            raise
        except ArchfrontError as error:  # paused, stopped or deleted meanwhile
            _logger.info("Candidates of experiment %s came too late: %s", experiment_id, error)
            return False

    def answer_at_once(self, experiment_id: str, request: SuggestRequest) -> bool:
        """Answers a request that needs no model; whether anything was added."""
        return self._add_from(find_optimizer(request.strategy), experiment_id, request)

    def fall_back(self, experiment_id: str, reason: str) -> bool:
        """Adds one quasi-random candidate in the model's stead, and an event with the reason."""
        request = self.request_of(experiment_id)
        if request is None:
            return False
        one = request.model_copy(update={"count": 1})
        return self._add_from(_Fallback(reason), experiment_id, one)

    def note_exhausted(self, experiment_id: str, reason: str) -> None:
        """Records that no new arm is left."""
        _logger.info("Experiment %s: %s", experiment_id, reason)
        with self._database.write() as connection:
            note_space_exhausted(connection, experiment_id)

    def _add_from(self, optimizer: Optimizer, experiment_id: str, request: SuggestRequest) -> bool:
        try:
            suggestions = optimizer.suggest(request)
        except SearchSpaceExhausted as error:
            self.note_exhausted(experiment_id, str(error))
            return False
        return self.add(experiment_id, suggestions)


class _Fallback:
    """Quasi-random arms that say for what reason they stand in for the model's."""

    name = FALLBACK_SOURCE

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        note = {"why": f"Quasi-random, in the model's stead. {self._reason}"}
        return [
            Suggestion(arm=suggestion.arm, source=self.name, note=note)
            for suggestion in SobolOptimizer().suggest(request)
        ]
