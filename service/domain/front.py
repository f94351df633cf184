"""The front as values: its points, the reference point, the hypervolume's trace, and picks."""

from search_spaces.arm import Arm
from search_spaces.values import Value
from service.domain.insight import PredictedFront, Probability
from service.domain.measurement import Measurement
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.stop_rules import StopVerdict
from service.domain.trial import TrialCost


class ReferencePoint(Value):
    """The reference point in the metrics' own units; `inferred` names those not given."""

    values: dict[str, float]
    inferred: tuple[str, ...] = ()


class FrontPoint(Value):
    """One arm that carries every objective, under the number of the first trial that ran it.

    feasible: it ended on its own terms and meets the outcome constraints.
    cost: the seconds really spent on it; a shared training was paid by another trial.
    replicates: the trials that ran the arm again; the measurements are pooled over all of them.
    probability_on_front: that no other arm tried so far is truly better, as the model sees it;
        None where the model has not seen the trial.
    """

    trial_number: int
    arm: Arm
    measurements: dict[str, Measurement]
    on_front: bool
    feasible: bool
    cost: TrialCost = TrialCost()
    replicates: tuple[int, ...] = ()
    probability_on_front: Probability | None = None


class Front(Value):
    """The feasible non-dominated trials, and up to a bound the others behind them.

    front: by the first objective, best first.
    others: by trial number, their protocols left out; `others_total` counts them all.
    stopped_by: the stop rule that ended the search before its budget was spent, if one did.
    predicted: the front as the model sees it; None while it has not been asked.
    """

    experiment_id: str
    experiment_name: str
    data_version: int
    objectives: tuple[Objective, ...]
    outcome_constraints: tuple[OutcomeConstraint, ...] = ()
    units: dict[str, str]
    reference_point: ReferencePoint | None
    hypervolume: float | None
    front: tuple[FrontPoint, ...]
    others: tuple[FrontPoint, ...]
    others_total: int
    stopped_by: StopVerdict | None = None
    predicted: PredictedFront | None = None


class HypervolumePoint(Value):
    """The hypervolume after the `completed`-th trial to end, at one reference point for all.

    elapsed_s: seconds from the experiment's creation to that trial's end.
    """

    completed: int
    trial_number: int
    hypervolume: float
    elapsed_s: float


class HypervolumeTrace(Value):
    """Hypervolume over completed trials; never falls."""

    experiment_id: str
    reference_point: ReferencePoint | None
    points: tuple[HypervolumePoint, ...]


class PickOption(Value):
    """A trial with its `probability_within` each budget, from the measured noise.

    A measurement without a standard error is taken as exact: its probability is 0 or 1.
    """

    point: FrontPoint
    probability_within: dict[str, float]


class Pick(Value):
    """The best feasible trial within the budgets, the alternatives after it, and near misses.

    nearest_misses: over some budget, yet better than `best` in what it was picked by; the
        least over comes first.
    """

    experiment_id: str
    budgets: dict[str, float]
    best: PickOption | None
    alternatives: tuple[PickOption, ...]
    nearest_misses: tuple[PickOption, ...]
    explanation: str
