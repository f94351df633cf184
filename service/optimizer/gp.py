"""Bayesian multi-objective optimization with our own ensemble of Gaussian processes."""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from search_spaces.arm import Arm
from service.domain.errors import SearchSpaceExhausted, SuggestionFailed
from service.domain.trial import REPLICATE_SOURCE
from service.optimizer.acquisition.scenario import Acquisition
from service.optimizer.acquisition.search import SCATTERED, AcquisitionSearch
from service.optimizer.belief import Belief
from service.optimizer.encoding import Encoding, Rows
from service.optimizer.history import incumbents
from service.optimizer.known_arms import KnownArms
from service.optimizer.neighbours import legal_neighbours
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.optimizer.paid_trainings import PaidTrainings
from service.optimizer.replication import arm_to_repeat
from service.optimizer.sobol import new_arms, quasi_random_before_the_model, sobol_points

_KEEP_WITHIN = math.log(1.1)
"""A candidate that stands already is kept if no new one promises a tenth more."""
_CONSTRAINED_ROWS = 128
_CAUTIOUS = 0.3
"""Share of the uncertainty that counts as a chance for every other arm."""


class GpOptimizer:
    """Proposes where the expected hypervolume improvement is largest.

    Quasi-random while fewer than two trials have measured all metrics of interest.
    """

    name = "gp"

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """One arm after the other, each taking the former as pending.

        Raises: SearchSpaceExhausted; SuggestionFailed where the numbers break down.
        """
        try:
            belief = Belief.of(request)
            if belief is None:
                return quasi_random_before_the_model(request)
            return Proposals(belief, self.name).make(request.count)
        except np.linalg.LinAlgError as error:
            raise SuggestionFailed(f"The surrogate could not be fitted: {error}.") from error


class Proposals:
    """The arms proposed so far for one request, each counted as pending for the next.

    source: the strategy in whose name they are proposed.
    """

    def __init__(self, belief: Belief, source: str) -> None:
        request, encoding = belief.request, belief.encoding
        self._belief = belief
        self._source = source
        self._pending = belief.pending
        self._has_repeated = False
        self._known = KnownArms(encoding, request.known_arms)
        self._paid = PaidTrainings(belief)
        self._replaceable = [arm for arm in request.replaceable if request.space.contains(arm)]
        front = incumbents(request, belief.arms)
        self._search = AcquisitionSearch(
            encoding,
            np.vstack([_scattered(request, encoding), self._legal_rows(front)]),
            encoding.rows_of(front),
            self._known.are_new,
            belief.search_rng,
        )

    def make(self, count: int) -> list[Suggestion]:
        """Up to `count` suggestions. Raises: SearchSpaceExhausted if there is none."""
        made: list[Suggestion] = []
        while len(made) < count:
            suggestion = self._next()
            if suggestion is None:
                break
            made.append(suggestion)
        if not made:
            known = self._belief.request.known_arms
            raise SearchSpaceExhausted(
                f"No legal arm is left beside the {len(known)} known ones. "
                "Widen the parameters or lower the budget.",
                field="parameters",
            )
        return made

    def expected_gain(self) -> float | None:
        """What the best new arm promises, in the objectives' units; None where there is none."""
        found = self._search.maximise(self._belief.acquisition(self._pending))
        return None if found is None else self._belief.in_own_units(found[1])

    def _next(self) -> Suggestion | None:
        encoding = self._belief.encoding
        acquisition = self._belief.acquisition(self._pending, self._boldness())
        arm, log_gain = self._best_new(acquisition)
        promised = log_gain
        sibling = self._paid.best(acquisition, self._known)
        if sibling is not None and self._worth(*sibling) > self._worth(arm, log_gain):
            arm, log_gain = sibling
            promised = max(promised, log_gain)
        if self._replaceable:
            rows = encoding.rows_of(self._replaceable)
            values = acquisition.log_values(encoding.features(rows))
            worths = values - self._paid.log_charges(self._replaceable)
            best = int(np.argmax(worths))
            if arm is None or worths[best] >= self._worth(arm, log_gain) - _KEEP_WITHIN:
                arm, log_gain = self._replaceable[best], float(values[best])
                promised = log_gain
        if arm is None or not self._belief.request.space.contains(arm):
            return None
        repeated = (
            None
            if self._has_repeated
            else arm_to_repeat(self._belief, self._belief.in_own_units(promised))
        )
        if repeated is not None:
            self._has_repeated = True
            return self._repeat(repeated)
        self._replaceable = [other for other in self._replaceable if other != arm]
        row = encoding.row_of(arm)
        self._known.add(row)
        self._pending = np.vstack([self._pending, row])
        self._paid.count(arm)
        return Suggestion(arm=arm, source=self._source, note=self._note(arm, log_gain))

    def _best_new(self, acquisition: Acquisition) -> tuple[Arm | None, float]:
        """The best of all new arms, whatever it costs, and its log gain; -inf without one."""
        found = self._search.maximise(acquisition)
        if found is None:
            return None, -math.inf
        return self._paid.restored(self._belief.encoding.arm_of(found[0])), found[1]

    def _worth(self, arm: Arm | None, log_gain: float) -> float:
        """The log gain per charge: an arm whose training is paid for is charged less."""
        return log_gain - self._paid.log_charge if self._is_paid(arm) else log_gain

    def _is_paid(self, arm: Arm | None) -> bool:
        return arm is not None and self._paid.is_paid(arm)

    def _repeat(self, arm: Arm) -> Suggestion:
        why = "Noise limits the front more than search does: the same arm once more."
        return Suggestion(arm=arm, source=REPLICATE_SOURCE, note={"why": why})

    def _boldness(self) -> float:
        """Every other arm stays near to what is known, and only refines the front.

        The expected improvement gambles on what it knows least: in many dimensions that is nearly
        everywhere, in few the corners.
        """
        turn = len(self._belief.request.observations) + len(self._pending)
        return _CAUTIOUS if turn % 2 else 1.0

    def _note(self, arm: Arm, log_gain: float) -> dict[str, Any]:
        belief = self._belief
        predicted = {
            metric: {"mean": float(mean[0]), "sd": float(sd[0])}
            for metric, (mean, sd) in belief.surrogate.predict([arm]).items()
            if metric in belief.measured_metrics
        }
        of_cost = " for its cost" if self._is_paid(arm) else ""
        why = f"Largest expected hypervolume improvement{of_cost}, given {len(belief.arms)} arms."
        return {
            "why": f"{why} {self._paid.reason}" if of_cost else why,
            "predicted": predicted,
            "expected_gain": belief.in_own_units(log_gain),
            "objective_thresholds": belief.reference,
        }

    def _legal_rows(self, front: Sequence[Arm]) -> Rows:
        """Under constraints, rows that meet them: scattered ones seldom do."""
        request, encoding = self._belief.request, self._belief.encoding
        if not request.space.constraints:
            return np.empty((0, len(encoding.axes)))
        rng = self._belief.search_rng
        arms = legal_neighbours(request.space, front, _CONSTRAINED_ROWS, rng)
        with suppress(SearchSpaceExhausted):
            arms += new_arms(
                request.space,
                request.known_arms,
                _CONSTRAINED_ROWS,
                request.seed,
                request.arms_so_far,
            )
        return encoding.rows_of(arms)


def _scattered(request: SuggestRequest, encoding: Encoding) -> Rows:
    """Quasi-random rows; every level of an axis gets an equal share."""
    points = next(sobol_points(len(encoding.axes), request.seed, request.arms_so_far))
    rows = points[:SCATTERED].copy()
    for number in range(len(encoding.axes)):
        levels = encoding.levels(number)
        if len(levels):
            index = np.minimum((rows[:, number] * len(levels)).astype(int), len(levels) - 1)
            rows[:, number] = levels[index]
    return rows
