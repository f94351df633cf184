"""What a request lets one believe: surrogate, reference point and draws of possible worlds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search_spaces.arm import Arm
from service.domain.trial import TrialStatus
from service.optimizer.acquisition.scenario import Acquisition
from service.optimizer.acquisition.scenarios import ScenarioDraws
from service.optimizer.encoding import Encoding, Rows
from service.optimizer.history import (
    MeasuredArm,
    can_be_modelled,
    instructive_arms,
    measured_arms,
    metrics_of_interest,
    reference_point,
    source_arms,
)
from service.optimizer.optimizer import SuggestRequest
from service.optimizer.surrogate import Surrogate

MAX_ARMS = 1_000
"""Beyond it the oldest dominated arms are left out."""


class Belief:
    """A surrogate fitted to a request's history, and the acquisition function that follows.

    Deterministic: all that is drawn comes from the request's seed and its number of arms.
    """

    def __init__(
        self, request: SuggestRequest, arms: Sequence[MeasuredArm], reference: dict[str, float]
    ) -> None:
        self.request = request
        self.arms = list(arms)
        self.reference = reference
        self.encoding = Encoding(request.space)
        self.measured_metrics = metrics_of_interest(request)
        seeds = np.random.SeedSequence((request.seed, request.arms_so_far)).spawn(3)
        fit_rng, draw_rng, self.search_rng = (np.random.default_rng(seed) for seed in seeds)
        self.surrogate = Surrogate(
            self.encoding,
            self.arms,
            self.measured_metrics,
            rng=fit_rng,
            labelled=_labels(request),
            sources=[source_arms(request, source) for source in request.sources],
        )
        self.may_stand = _may_stand(request, self.arms)
        self.draws = ScenarioDraws(
            self.surrogate,
            objectives=request.objectives,
            constraints=request.outcome_constraints,
            reference=reference,
            is_feasible=self.may_stand,
            rng=draw_rng,
        )

    @classmethod
    def of(cls, request: SuggestRequest) -> "Belief | None":
        """None while fewer than two trials have measured some metric of interest."""
        reference = reference_point(request, measured_arms(request, MAX_ARMS))
        if reference is None or not can_be_modelled(request) or not Encoding(request.space).axes:
            return None
        return cls(request, instructive_arms(request, MAX_ARMS, with_forecasts=True), reference)

    @property
    def pending(self) -> Rows:
        """The arms under way, as rows."""
        legal = [arm for arm in self.request.pending if self.request.space.contains(arm)]
        return self.encoding.rows_of(legal)

    @property
    def contenders(self) -> list[MeasuredArm]:
        """Measured arms that noise may hold on the front or off it."""
        return [self.arms[n] for n in self.draws.contenders.tolist()]

    def acquisition(self, pending: Rows, boldness: float = 1.0) -> Acquisition:
        """The acquisition function given that `pending` (rows) are under way.

        boldness: share of the surrogate's uncertainty that counts as a chance.
        """
        return self.draws.acquisition(pending, boldness)

    def in_own_units(self, log_gain: float) -> float:
        """An expected gain of hypervolume, in the objectives' units."""
        scales = [self.surrogate.metrics[o.metric].scale for o in self.request.objectives]
        with np.errstate(over="ignore"):
            return float(np.exp(log_gain + np.log(scales).sum()))


def _labels(request: SuggestRequest) -> list[tuple[Arm, float]]:
    """Every ended arm, and +1 if its arm can be built and trained, -1 if not.

    Empty where every arm could: then there is nothing to learn.
    """
    labels = [
        (observation.arm, -1.0 if observation.status is TrialStatus.INFEASIBLE else 1.0)
        for observation in request.observations
        if request.space.contains(observation.arm)
    ]
    return labels if any(label < 0 for _, label in labels) else []


def _may_stand(request: SuggestRequest, arms: Sequence[MeasuredArm]) -> npt.NDArray[np.bool_]:
    infeasible = {
        observation.arm.signature
        for observation in request.observations
        if observation.status is TrialStatus.INFEASIBLE
    }
    wanted = [objective.metric for objective in request.objectives]
    return np.array(
        [
            arm.arm.signature not in infeasible and all(map(arm.has_measured, wanted))
            for arm in arms
        ],
        dtype=bool,
    )
