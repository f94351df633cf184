"""One round after another over the pools in need: which is served, by whom, and when.

Needs that take no model are answered in the round itself. The others queue for the one model
process: pools that lack candidates first, then those whose candidates older results proposed,
and among equals the one asked for longest ago; only then what the model makes of experiments
is asked for. Where a request failed, quasi-random candidates
fill in, and the experiment rests before the model is asked for it again.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.background.candidate_pool import CandidatePools
from service.background.insight_desk import InsightDesk
from service.background.model_process import ModelProcess, ModelProcessDied
from service.domain.errors import SearchSpaceExhausted, SuggestionFailed
from service.domain.experiment import MODEL_FREE_STRATEGIES, OptimizerSettings
from service.optimizer.auto import LONGEST_LIMIT_S, needs_model
from service.optimizer.optimizer import SuggestRequest
from service.use_cases.candidate_pool import PoolNeed

START_LIMIT_S = 300.0
"""Loading the model's libraries takes 3-10 s, a minute on a machine busy with trainings."""

IDLE_LIMIT_S = 900.0
"""After so long without a need for it, the model process gives its memory back."""

REST_S = 5.0
"""Pause for an experiment to which nothing could be added, lest the rounds spin on it."""

LONGEST_REST_S = 300.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wait:
    since: float
    settings: OptimizerSettings


@dataclass(frozen=True)
class _Question:
    experiment_id: str
    request: SuggestRequest
    asked_at: float
    limit_s: float


class SuggestionRounds:
    """What is under way between two rounds; nothing of it is missed after a crash.

    clock: monotonic seconds.
    """

    def __init__(
        self,
        pools: CandidatePools,
        model: ModelProcess,
        desk: InsightDesk,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pools = pools
        self._model = model
        self._desk = desk
        self._clock = clock
        self._question: _Question | None = None
        self._waits: dict[str, _Wait] = {}
        self._rests: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._asked_at: dict[str, float] = {}
        self._model_needed_at = clock()
        self._answered_at = -math.inf

    @property
    def is_model_busy(self) -> bool:
        """Whether an answer of the model is due."""
        return self._question is not None

    def run(self) -> None:
        """One round. Raises: Unavailable if the database cannot be reached."""
        self.take_answer()
        needs = self._pools.in_need()
        ids = {need.experiment_id for need in needs}
        now = self._clock()
        self._waits = {id_: wait for id_, wait in self._waits.items() if id_ in ids}
        self._rests = {id_: end for id_, end in self._rests.items() if end > now}
        for need in sorted(needs, key=self._turn):
            self._serve(need.experiment_id)
        self._serve_the_late(needs)
        self._mind_the_process()
        if self._question is None and not self._waits:
            idle_s = self._clock() - self._answered_at
            if self._desk.look_into_one(idle_s):
                self._model_needed_at = self._clock()

    def take_answer(self) -> None:
        """Puts the model's answer into its pool, if it has come; falls back if it failed."""
        if self._desk.is_asking:
            self._desk.take_answer()
            return
        try:
            answer = self._model.poll()
            if answer is None or self._question is None:
                return
            suggestions = answer.unwrap()
        except SearchSpaceExhausted as error:
            self._pools.note_exhausted(self._answered().experiment_id, str(error))
        except (SuggestionFailed, ModelProcessDied) as error:
            self._model_failed(str(error))
        else:
            question = self._answered()
            self._failures.pop(question.experiment_id, None)
            if not self._pools.renew(question.experiment_id, question.request, suggestions):
                self._rest(question.experiment_id)

    def _answered(self) -> _Question:
        """The question that is answered now; its experiment waits no more."""
        if self._question is None:
            raise RuntimeError("the model answered, yet was not asked")
        question, self._question = self._question, None
        self._answered_at = self._clock()
        self._waits.pop(question.experiment_id, None)
        return question

    def _model_failed(self, reason: str) -> None:
        """Fills in for the request that failed or, if there was none yet, for all that wait."""
        _logger.warning("No suggestion from the model: %s", reason)
        if self._question is None:
            failed = list(self._waits)
        else:
            question = self._answered()
            failed = [question.experiment_id]
            self._rest_after_failure(question)
        for experiment_id in failed:
            self._pools.note_trouble(experiment_id, reason)
            self._pools.fall_back(experiment_id, reason)

    def _turn(self, need: PoolNeed) -> tuple[bool, float]:
        return not need.is_short, self._asked_at.get(need.experiment_id, -math.inf)

    def _serve(self, experiment_id: str) -> None:
        is_asked_for = self._question is not None and self._question.experiment_id == experiment_id
        if experiment_id in self._rests or is_asked_for:
            return
        if experiment_id in self._waits and not self._model.is_ready:
            return
        request = self._pools.request_of(experiment_id)
        if request is None:
            self._waits.pop(experiment_id, None)
            self._rest(experiment_id)  # outdated, yet there is nothing that a model could learn
            return
        if request.strategy not in MODEL_FREE_STRATEGIES:
            self._model_needed_at = self._clock()
            self._model.start()  # already while the space is filled, so that it is warm in time
        if not needs_model(request):
            self._waits.pop(experiment_id, None)
            if not self._pools.answer_at_once(experiment_id, request):
                self._rest(experiment_id)
            return
        if experiment_id not in self._waits:
            settings = self._pools.settings_of(experiment_id)
            self._waits[experiment_id] = _Wait(self._clock(), settings)
        if self._model.is_ready:
            self._ask(experiment_id, request)

    def _ask(self, experiment_id: str, request: SuggestRequest) -> None:
        now = self._clock()
        limit_s = self._waits[experiment_id].settings.suggestion_limit_s or LONGEST_LIMIT_S
        self._question = _Question(experiment_id, request, now, limit_s)
        self._asked_at[experiment_id] = now
        try:
            self._model.ask(request)
        except ModelProcessDied as error:
            self._model_failed(str(error))

    def _serve_the_late(self, needs: Sequence[PoolNeed]) -> None:
        """One quasi-random candidate for whoever was to wait for the model, and has."""
        for need in needs:
            wait = self._waits.get(need.experiment_id)
            if wait is None or not need.is_empty:
                continue
            after_s = wait.settings.fallback_after_s
            if after_s > 0 and self._clock() - wait.since >= after_s:
                reason = f"The model had given no answer after {after_s:g} s."
                self._pools.fall_back(need.experiment_id, reason, count=1)

    def _mind_the_process(self) -> None:
        now = self._clock()
        if self._waits:
            self._model.start()
        question = self._question
        if question is not None and now >= question.asked_at + question.limit_s:
            self._model_failed(self._model.kill_hung(question.limit_s))
        elif self._model.starting_s > START_LIMIT_S:
            self._model_failed(self._model.kill_hung(START_LIMIT_S))
        elif question is None and now - self._model_needed_at > IDLE_LIMIT_S:
            self._model.stop()

    def _rest(self, experiment_id: str, for_s: float = REST_S) -> None:
        self._rests[experiment_id] = self._clock() + for_s

    def _rest_after_failure(self, question: _Question) -> None:
        """Rests the longer, the longer the failure took and the more often it has come."""
        id_ = question.experiment_id
        failures = self._failures[id_] = self._failures.get(id_, 0) + 1
        took_s = max(REST_S, self._clock() - question.asked_at)
        self._rest(id_, min(LONGEST_REST_S, took_s * 2.0 ** min(failures - 1, 10)))
