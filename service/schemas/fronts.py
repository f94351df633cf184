"""The front on the wire: points, hypervolume trace and picks."""

from search_spaces.arm import Arm
from search_spaces.values import Value
from service.domain.measurement import Measurement
from service.domain.objective import Objective


class ReferencePoint(Value):
    """The reference point in the metrics' own units; `inferred` names those not given."""

    values: dict[str, float]
    inferred: tuple[str, ...] = ()


class FrontPoint(Value):
    """One completed trial."""

    trial_number: int
    arm: Arm
    measurements: dict[str, Measurement]
    on_front: bool
    feasible: bool


class Front(Value):
    """The feasible non-dominated trials, and up to a bound the others behind them."""

    experiment_id: str
    experiment_name: str
    data_version: int
    objectives: tuple[Objective, ...]
    units: dict[str, str]
    reference_point: ReferencePoint | None
    hypervolume: float | None
    front: tuple[FrontPoint, ...]
    others: tuple[FrontPoint, ...]
    others_total: int


class HypervolumePoint(Value):
    """The hypervolume after the `completed`-th trial to end, at one reference point for all."""

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
    """A trial that meets the budgets; `probability_within` each budget from the measured noise."""

    point: FrontPoint
    probability_within: dict[str, float]


class Pick(Value):
    """The best feasible trial within the budgets, the alternatives after it, and near misses."""

    experiment_id: str
    budgets: dict[str, float]
    best: PickOption | None
    alternatives: tuple[PickOption, ...]
    nearest_misses: tuple[PickOption, ...]
    explanation: str
