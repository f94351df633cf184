"""One round after another over the experiments whose pool is short: who needs what, and when.

Needs that take no model are answered in the round itself. The others queue for the one model
process; whoever waits too long, or whose request failed, gets a quasi-random candidate.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.background.candidate_pool import CandidatePools
from service.background.model_process import ModelProcess, ModelProcessDied
from service.domain.errors import SearchSpaceExhausted, SuggestionFailed
from service.optimizer.auto import needs_model

HUNG_AFTER = 3.0
"""An answer so many times later than the fallback is not waited for any more."""

START_LIMIT_S = 300.0
"""Loading Ax takes 3-10 s, a minute on a machine busy with trainings."""

IDLE_LIMIT_S = 900.0
"""After so long without a need for it, the model process gives its memory back."""

REST_S = 5.0
"""Pause for an experiment to which nothing could be added, lest the rounds spin on it."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wait:
    since: float
    fallback_after_s: float


@dataclass(frozen=True)
class _Question:
    experiment_id: str
    give_up_at: float


class SuggestionRounds:
    """What is under way between two rounds; nothing of it is missed after a crash.

    clock: monotonic seconds.
    """

    def __init__(
        self,
        pools: CandidatePools,
        model: ModelProcess,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pools = pools
        self._model = model
        self._clock = clock
        self._question: _Question | None = None
        self._waits: dict[str, _Wait] = {}
        self._rests: dict[str, float] = {}
        self._model_needed_at = clock()

    @property
    def is_model_busy(self) -> bool:
        """Whether an answer of the model is due."""
        return self._question is not None

    def run(self) -> None:
        """One round. Raises: Unavailable if the database cannot be reached."""
        self.take_answer()
        short = self._pools.short()
        now = self._clock()
        self._waits = {id_: wait for id_, wait in self._waits.items() if id_ in short}
        self._rests = {id_: end for id_, end in self._rests.items() if end > now}
        for experiment_id in sorted(short, key=self._waiting_since):
            if experiment_id not in self._rests:
                self._serve(experiment_id)
        self._serve_the_late()
        self._mind_the_process()

    def take_answer(self) -> None:
        """Adds the model's candidates, if they have come; falls back if it failed or died."""
        try:
            answer = self._model.poll()
            if answer is None or self._question is None:
                return
            suggestions = answer.unwrap()
        except SearchSpaceExhausted as error:
            self._pools.note_exhausted(self._answered(), str(error))
        except (SuggestionFailed, ModelProcessDied) as error:
            self._model_failed(str(error))
        else:
            experiment_id = self._answered()
            if not self._pools.add(experiment_id, suggestions):
                self._rest(experiment_id)

    def _answered(self) -> str:
        """The experiment whose question is answered now; it waits no more."""
        if self._question is None:
            raise RuntimeError("the model answered, yet was not asked")
        experiment_id, self._question = self._question.experiment_id, None
        self._waits.pop(experiment_id, None)
        return experiment_id

    def _model_failed(self, reason: str) -> None:
        """Fills in for the request that failed or, if there was none yet, for all that wait."""
        _logger.warning("No suggestion from the model: %s", reason)
        if self._question is not None:
            self._pools.fall_back(self._answered(), reason)
            return
        for experiment_id in self._waits:
            if self._pools.is_empty(experiment_id):
                self._pools.fall_back(experiment_id, reason)

    def _waiting_since(self, experiment_id: str) -> float:
        wait = self._waits.get(experiment_id)
        return self._clock() if wait is None else wait.since

    def _serve(self, experiment_id: str) -> None:
        if experiment_id in self._waits and not self._model.is_ready:
            return
        request = self._pools.request_of(experiment_id)
        if request is None:
            self._waits.pop(experiment_id, None)
            return
        if request.strategy != "sobol":
            self._model_needed_at = self._clock()
            self._model.start()  # already while the space is filled, so that it is warm in time
        if not needs_model(request):
            self._waits.pop(experiment_id, None)
            if not self._pools.answer_at_once(experiment_id, request):
                self._rest(experiment_id)
            return
        if experiment_id not in self._waits:
            limit_s = self._pools.fallback_after_s(experiment_id)
            self._waits[experiment_id] = _Wait(self._clock(), limit_s)
        if self._model.is_ready:
            limit_s = self._waits[experiment_id].fallback_after_s
            self._question = _Question(experiment_id, self._clock() + HUNG_AFTER * limit_s)
            try:
                self._model.ask(request)
            except ModelProcessDied as error:
                self._model_failed(str(error))

    def _serve_the_late(self) -> None:
        for experiment_id, wait in self._waits.items():
            is_late = self._clock() - wait.since >= wait.fallback_after_s
            if is_late and self._pools.is_empty(experiment_id):
                self._pools.fall_back(
                    experiment_id,
                    f"The model had given no answer after {wait.fallback_after_s:g} s.",
                )

    def _mind_the_process(self) -> None:
        now = self._clock()
        if self._waits:
            self._model.start()
        is_hung = self._question is not None and now >= self._question.give_up_at
        if is_hung or self._model.starting_s > START_LIMIT_S:
            self._model_failed(self._model.kill_hung())
        elif self._question is None and now - self._model_needed_at > IDLE_LIMIT_S:
            self._model.stop()

    def _rest(self, experiment_id: str) -> None:
        self._rests[experiment_id] = self._clock() + REST_S
