"""Arms whose training is paid for: which these are, what they cost, and the best of them.

Arms that differ in evaluation parameters alone share one training, so that a sibling of a trained
arm costs its measurement only. A trial uses up two things: one place of the budget, whatever it
costs, and seconds. Half of the charge goes by each, in units of a full trial: a full trial is
charged 1, a sibling (1 + share) / 2, where share is the measurement's part of a full trial's
seconds. What is compared is the expected improvement per charge. So a sibling must promise at
least half of what the best new arm does, however cheap it is: were seconds all that counts, nothing
new would ever be trained while the trained arms promise anything at all.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search_spaces.arm import Arm
from service.domain.trial import TrialStatus
from service.optimizer.acquisition.scenario import Acquisition
from service.optimizer.belief import Belief
from service.optimizer.encoding import Encoding, Rows
from service.optimizer.history import MeasuredArm, incumbents
from service.optimizer.known_arms import KnownArms
from service.optimizer.optimizer import SuggestRequest
from service.optimizer.sobol import sobol_points

_USUAL_SHARE = 0.1
"""The measurement's part of a trial's seconds, while nobody knows."""
_MAX_ROWS = 2_048
_MAX_EVALUATIONS = 64
_POINTS_OF_A_CONTINUUM = 9
_SAME_WITHIN = 8
"""Decimals of the unit cube to which two trainings must agree to count as one."""
_NEIGHBOURS = 32
_SPREADS = (0.1, 0.03, 0.01)


class _Sibling(NamedTuple):
    row: Rows
    arm: Arm
    log_gain: float


class PaidTrainings:
    """The trainings that need not be paid again, while one suggestion after the other is made.

    None at all where the space has no evaluation parameter that varies.
    """

    def __init__(self, belief: Belief) -> None:
        self._request = request = belief.request
        self._encoding = belief.encoding
        evaluated = request.space.evaluation_parameters
        self._is_evaluated = np.array([axis.name in evaluated for axis in self._encoding.axes])
        self._trained: set[str] = set()
        self._exact: dict[bytes, Arm] = {}
        self._paid: set[str] = set()
        self._parents: list[Arm] = []
        self._cheap = self._dear = 0
        if not self._is_evaluated.any():
            return
        completed = [o.arm for o in request.observations if o.status is TrialStatus.COMPLETED]
        self._trained = {self._training_of(arm) for arm in completed}
        for arm in request.pending:
            self.count(arm)
        paid = [arm for arm in (*completed, *request.pending) if request.space.contains(arm)]
        self._exact = {self._key(self._encoding.row_of(arm)): arm for arm in reversed(paid)}
        self._paid = {self._training_of(arm) for arm in paid}
        self._parents = self._good_first(belief.arms)
        self._evaluations = _evaluations(request, self._encoding, self._is_evaluated)

    @property
    def log_charge(self) -> float:
        """What an arm is charged whose training is paid for; 0 (of a logarithm) is a full trial."""
        return math.log((1.0 + self._share) / 2.0)

    @property
    def reason(self) -> str:
        """Why such an arm was taken, as its trial tells it."""
        least = math.exp(self.log_charge)
        about = "about" if self._is_share_known else "perhaps"
        return (
            f"Its training is paid for: measuring it costs {about} {self._share:.0%} of a full "
            f"trial, so that {least:.0%} of a new training's gain is enough."
        )

    def log_charges(self, arms: Sequence[Arm]) -> npt.NDArray[np.float64]:
        """The same for each arm, 0 for those that have to be trained."""
        return np.array([self.log_charge if self.is_paid(arm) else 0.0 for arm in arms])

    def is_paid(self, arm: Arm) -> bool:
        """Whether the arm's training is a trained arm's, or one's that is under way."""
        return self._training_of(arm) in self._paid

    def restored(self, arm: Arm) -> Arm:
        """The arm, with a paid training's values where it differs by a rounding error alone."""
        parent = self._exact.get(self._key(self._encoding.row_of(arm))) if self._exact else None
        return (None if parent is None else self._sibling(parent, arm)) or arm

    def count(self, arm: Arm) -> None:
        """Takes note of an arm under way, so that trainers are not left without work."""
        if self._training_of(arm) in self._trained:
            self._cheap += 1
        else:
            self._dear += 1

    def best(self, acquisition: Acquisition, known: KnownArms) -> tuple[Arm, float] | None:
        """The sibling of a good measured arm that promises most, and its log gain.

        None where there is none that is new and legal, and while more siblings than trainings are
        under way: a host that only trains must find work in the pool.
        """
        if not self._parents or self._cheap > self._dear:
            return None
        parents = np.repeat(self._encoding.rows_of(self._parents), len(self._evaluations), axis=0)
        rows = parents.copy()
        rows[:, self._is_evaluated] = np.tile(self._evaluations, (len(self._parents), 1))
        found = self._best_of(acquisition, known, parents, rows)
        rng = np.random.default_rng((self._request.seed, self._request.arms_so_far, 3))
        shape = (_NEIGHBOURS, int(self._is_evaluated.sum()))
        if found is None:
            return None
        for spread in _SPREADS:
            found = self._refined(acquisition, known, found, rng.normal(0.0, spread, shape))
        return found.arm, found.log_gain

    @property
    def _is_share_known(self) -> bool:
        costs = self._request.stage_costs_s
        return {"train", "measure"} <= costs.keys() and costs["train"] + costs["measure"] > 0

    @property
    def _share(self) -> float:
        """The measurement's part of a full trial's seconds."""
        costs = self._request.stage_costs_s
        if not self._is_share_known:
            return _USUAL_SHARE
        return costs["measure"] / (costs["train"] + costs["measure"])

    def _refined(
        self, acquisition: Acquisition, known: KnownArms, sibling: "_Sibling", steps: Rows
    ) -> "_Sibling":
        """The best of the sibling and of those some steps (n x evaluation axes) away."""
        parents = np.repeat(sibling.row[np.newaxis], len(steps), axis=0)
        rows = parents.copy()
        rows[:, self._is_evaluated] += steps
        best = self._best_of(acquisition, known, parents, rows)
        return best if best is not None and best.log_gain > sibling.log_gain else sibling

    def _best_of(
        self, acquisition: Acquisition, known: KnownArms, parents: Rows, rows: Rows
    ) -> "_Sibling | None":
        """The best new legal row that trains as its parent does, its arm and its log gain."""
        encoding, trained = self._encoding, ~self._is_evaluated
        rows = encoding.snapped(rows)
        alike = encoding.active(rows)[:, trained] == encoding.active(parents)[:, trained]
        rows = rows[np.all(alike, axis=1) & encoding.is_legal(rows)]
        rows = rows[known.are_new(rows)] if len(rows) else rows
        if len(rows) == 0:
            return None
        values = acquisition.log_values(encoding.features(rows))
        for index in np.argsort(-values, kind="stable"):
            parent = self._exact.get(self._key(rows[index]))
            arm = None if parent is None else self._sibling(parent, encoding.arm_of(rows[index]))
            if arm is not None:
                return _Sibling(rows[index], arm, float(values[index]))
        return None

    def _sibling(self, parent: Arm, arm: Arm) -> Arm | None:
        """The arm with exactly the parent's training; None if it cannot be trained like this."""
        training = self._request.space.training_configuration(parent).parameters
        merged = Arm(parameters={**arm.parameters, **training})
        is_legal = self._request.space.contains(merged)
        return merged if is_legal and self._training_of(merged) in self._paid else None

    def _good_first(self, arms: Sequence[MeasuredArm]) -> list[Arm]:
        """One paid arm per training: those on the front, then those behind these, and so on."""
        rest = [arm for arm in arms if self._training_of(arm.arm) in self._paid]
        found: dict[str, Arm] = {}
        while len(found) < _MAX_ROWS // _MAX_EVALUATIONS:
            layer = incumbents(self._request, rest)
            if not layer:
                break
            for arm in layer:
                found.setdefault(self._training_of(arm), arm)
            rest = [arm for arm in rest if self._training_of(arm.arm) not in found]
        return list(found.values())[: _MAX_ROWS // _MAX_EVALUATIONS]

    def _training_of(self, arm: Arm) -> str:
        return self._request.space.training_configuration(arm).signature

    def _key(self, row: Rows) -> bytes:
        training: Rows = np.round(row[~self._is_evaluated], _SAME_WITHIN) + 0.0
        return training.tobytes()


def _evaluations(
    request: SuggestRequest, encoding: Encoding, is_evaluated: npt.NDArray[np.bool_]
) -> Rows:
    """Coordinates (n x evaluation axes): every combination, or an even spread of too many."""
    numbers = np.flatnonzero(is_evaluated).tolist()
    evenly = np.linspace(0.0, 1.0, _POINTS_OF_A_CONTINUUM)
    levels = [encoding.levels(n) if len(encoding.levels(n)) else evenly for n in numbers]
    if math.prod(len(one) for one in levels) <= _MAX_EVALUATIONS:
        return np.array(list(product(*levels)))
    points = next(sobol_points(len(numbers), request.seed, request.arms_so_far))
    return points[:_MAX_EVALUATIONS]
