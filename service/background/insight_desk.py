"""Asks the model, between suggestions, what it makes of experiments as they stand.

Only a model process that has been idle for a while is asked, lest a suggestion has to wait; about
one experiment at a time, and about each no more often than the answers' own cost allows. A
failure costs nothing but the insight.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.background.model_process import ModelProcess, ModelProcessDied
from service.domain.errors import ArchfrontError, SuggestionFailed, Unavailable
from service.domain.insight import Insight
from service.optimizer.optimizer import SuggestRequest
from service.storage.database import Database
from service.use_cases.keep_insight import (
    experiments_to_look_into,
    insight_request,
    keep_insight,
)

INSIGHT_EVERY_S = 5.0
"""An experiment is looked into no more often than that."""

LOOK_EVERY_S = 2.0
"""Whether something is due is asked of the database no more often than that."""

IDLE_FIRST_S = 1.0
"""So long the model has to have been idle: where results come thick and fast, pools go first."""

STARVED_AFTER_S = 60.0
"""What has been due for so long is asked for even so."""

COST_SHARE = 0.1
"""Of the time between two looks at an experiment, the model spends at most this share on them."""

INSIGHT_LIMIT_S = 120.0
"""A model that computes for longer is stopped."""

LONGEST_REST_S = 3_600.0

_logger = logging.getLogger(__name__)


class Insights:
    """The insights of all experiments in one database. Every method may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self) -> list[tuple[str, int]]:
        """(id, ended trials) of the experiments that the model has not seen as they stand."""
        with self._database.read() as connection:
            return experiments_to_look_into(connection)

    def request_of(self, experiment_id: str) -> SuggestRequest | None:
        """What the model is to know; None if that is too little."""
        with self._database.read() as connection:
            return insight_request(connection, experiment_id)

    def keep(self, experiment_id: str, insight: Insight) -> None:
        """Keeps it, and lets the experiment's stop rule judge it."""
        try:
            with self._database.write() as connection:
                keep_insight(connection, experiment_id, insight)
        except Unavailable:
            raise
        except ArchfrontError as error:
            _logger.info("The insight into experiment %s was dropped: %s", experiment_id, error)


@dataclass(frozen=True)
class _Question:
    experiment_id: str
    ended_trials: int
    asked_at: float


@dataclass(frozen=True)
class _Rest:
    """Until when an experiment is left alone; after failures, until more trials have ended."""

    until: float
    failures: int = 0
    ended_trials: int = -1


class InsightDesk:
    """Which experiment is being looked into, and when each may be again.

    clock: monotonic seconds.
    """

    def __init__(
        self,
        insights: Insights,
        model: ModelProcess,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._insights = insights
        self._model = model
        self._clock = clock
        self._question: _Question | None = None
        self._rests: dict[str, _Rest] = {}
        self._due_since: dict[str, float] = {}
        self._look_again_at = clock()

    @property
    def is_asking(self) -> bool:
        """Whether the model is answering a question from here."""
        return self._question is not None

    def look_into_one(self, idle_s: float) -> bool:
        """Asks the model about the experiment whose turn it is, if it has been idle so long.

        Starts the model process where there is something to ask; whether there is.
        """
        if self._question is not None:
            return True
        if self._clock() < self._look_again_at:
            return False
        due = [one for one in self._insights.due() if self._may_be_asked(*one)]
        now = self._clock()
        self._due_since = {id_: self._due_since.get(id_, now) for id_, _ in due}
        for experiment_id, ended_trials in due:
            is_starved = now - self._due_since[experiment_id] >= STARVED_AFTER_S
            if idle_s < IDLE_FIRST_S and not is_starved:
                continue
            if not self._model.is_ready:
                self._model.start()
                return True
            request = self._insights.request_of(experiment_id)
            if request is None:
                self._rests[experiment_id] = _Rest(self._clock(), 1, ended_trials)
                continue
            self._ask(experiment_id, ended_trials, request)
            return True
        self._look_again_at = self._clock() + LOOK_EVERY_S
        return False

    def take_answer(self) -> None:
        """Keeps the model's answer, if it has come; gives up one that takes too long."""
        if self._question is None:
            return
        try:
            answer = self._model.poll()
            insight = None if answer is None else answer.unwrap_insight()
        except (SuggestionFailed, ModelProcessDied) as error:
            self._failed(str(error))
            return
        if insight is None:
            if self._clock() - self._question.asked_at >= INSIGHT_LIMIT_S:
                self._failed(self._model.kill_hung(INSIGHT_LIMIT_S))
            return
        question, self._question = self._question, None
        took_s = self._clock() - question.asked_at
        pause_s = max(INSIGHT_EVERY_S, took_s / COST_SHARE)
        self._rests[question.experiment_id] = _Rest(self._clock() + pause_s)
        self._insights.keep(question.experiment_id, insight)

    def _ask(self, experiment_id: str, ended_trials: int, request: SuggestRequest) -> None:
        self._question = _Question(experiment_id, ended_trials, self._clock())
        self._due_since.pop(experiment_id, None)
        try:
            self._model.ask_insight(request)
        except ModelProcessDied as error:
            self._failed(str(error))

    def _failed(self, reason: str) -> None:
        if self._question is None:
            raise RuntimeError("no insight was asked for, yet one failed")
        question, self._question = self._question, None
        _logger.warning("No insight into experiment %s: %s", question.experiment_id, reason)
        earlier = self._rests.get(question.experiment_id, _Rest(0.0))
        failures = earlier.failures + 1
        pause_s = min(LONGEST_REST_S, INSIGHT_EVERY_S * 2.0 ** min(failures, 12))
        self._rests[question.experiment_id] = _Rest(
            self._clock() + pause_s, failures, question.ended_trials
        )

    def _may_be_asked(self, experiment_id: str, ended_trials: int) -> bool:
        rest = self._rests.get(experiment_id)
        return rest is None or (self._clock() >= rest.until and ended_trials > rest.ended_trials)
