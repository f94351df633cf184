"""Siblings of trained arms cost their measurement alone: when `gp` takes one, and that it pays."""

import math

import numpy as np
import pytest

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from service.domain.hypervolume import hypervolume
from service.domain.measurement import Measurement
from service.domain.objective import Objective
from service.domain.trial import TrialStatus
from service.optimizer.belief import Belief
from service.optimizer.gp import GpOptimizer
from service.optimizer.known_arms import KnownArms
from service.optimizer.optimizer import Observation, SuggestRequest, find_optimizer
from service.optimizer.paid_trainings import PaidTrainings
from tests.service.optimizer.tricky_spaces import SPACES, choice, float_, int_, request_after

TRAIN_S, MEASURE_S = 100.0, 4.0
COSTS = {"train": TRAIN_S, "measure": MEASURE_S}
GOALS = (
    Objective(metric="error", goal="minimize", threshold=1.0),
    Objective(metric="latency", goal="minimize", threshold=1.0),
)
PARAMETERS = (
    float_("width"),
    float_("rate", 1e-4, 1e-1, scale="log"),
    float_("mixing"),
    int_("kept", 1, 6),
    float_("threshold"),
)


def space_with(*evaluated: str, parameters=PARAMETERS, constraints=()) -> ParameterSpace:
    return ParameterSpace.model_validate(
        {
            "parameters": parameters,
            "constraints": constraints,
            "evaluation_parameters": evaluated,
        }
    )


NESTED = space_with("kept", "threshold")


def measured(arm: Arm) -> dict[str, Measurement]:
    """Training decides how good a network can be, layers kept and threshold trade it for time."""
    width, mixing = (float(arm.parameters[name]) for name in ("width", "mixing"))
    rate = math.log10(float(arm.parameters["rate"])) + 2.6
    kept, threshold = int(arm.parameters["kept"]) / 6, float(arm.parameters["threshold"])
    work = kept * (0.3 + 0.7 * width) * (1.0 - 0.4 * threshold)
    flaw = 0.25 * rate**2 + 0.5 * (mixing - 0.3) ** 2
    error = 0.1 + 0.7 * math.exp(-3.0 * work) + flaw + 0.1 * threshold**2
    return {"error": Measurement(mean=error), "latency": Measurement(mean=0.1 + 0.8 * work)}


def completed(arm: Arm) -> Observation:
    return Observation(arm=arm, status=TrialStatus.COMPLETED, measurements=measured(arm))


def request_of(space: ParameterSpace, count: int = 14, **more: object) -> SuggestRequest:
    first = SuggestRequest(space=space, objectives=GOALS, count=count, seed=5)
    arms = [suggestion.arm for suggestion in find_optimizer("sobol").suggest(first)]
    given = {
        "space": space,
        "objectives": GOALS,
        "observations": tuple(completed(arm) for arm in arms),
        "strategy": "gp",
        "stage_costs_s": COSTS,
        "seed": 5,
    }
    return SuggestRequest.model_validate(given | more)


def trainings(space: ParameterSpace, arms: list[Arm]) -> list[str]:
    return [space.training_configuration(arm).signature for arm in arms]


def is_sibling(request: SuggestRequest, arm: Arm) -> bool:
    observed = [one.arm for one in request.observations]
    return trainings(NESTED, [arm])[0] in trainings(NESTED, observed)


def one_trained(request: SuggestRequest) -> SuggestRequest:
    """The history of a single good training, measured with all layers alone, and poor others."""
    best = Arm(
        parameters={
            "width": 0.123456789012345,
            "rate": 0.0025118864315095794,
            "mixing": 0.3,
            "kept": 6,
            "threshold": 0.0,
        }
    )
    return request.model_copy(update={"observations": (*request.observations, completed(best))})


def test_a_sibling_that_promises_enough_is_taken_with_its_exact_training() -> None:
    request = one_trained(request_of(NESTED, 20))
    found = GpOptimizer().suggest(request)[0]
    assert is_sibling(request, found.arm)
    assert NESTED.contains(found.arm)
    assert found.arm not in [one.arm for one in request.observations]
    assert "Its training is paid for: measuring it costs about 4% of a full trial" in str(
        found.note["why"]
    )
    assert GpOptimizer().suggest(request)[0] == found


def test_without_costs_a_usual_share_is_assumed() -> None:
    belief = Belief.of(request_of(NESTED, stage_costs_s={"train": 9.0}))
    assert belief is not None
    paid = PaidTrainings(belief)
    assert paid.log_charge == pytest.approx(math.log(0.55))
    assert "costs perhaps 10%" in paid.reason


def test_a_dear_measurement_makes_no_sibling_cheap() -> None:
    belief = Belief.of(request_of(NESTED, stage_costs_s={"train": 0.0, "measure": 7.0}))
    assert belief is not None
    assert PaidTrainings(belief).log_charge == 0.0


def test_what_pending_arms_train_is_paid_for_and_what_failed_is_not() -> None:
    request = request_of(NESTED)
    arms = [one.arm for one in request.observations]
    failed = Observation(arm=arms[1], status=TrialStatus.INFEASIBLE)
    request = request.model_copy(
        update={"observations": (failed, *request.observations[2:]), "pending": (arms[0],)}
    )
    belief = Belief.of(request)
    assert belief is not None
    paid = PaidTrainings(belief)
    assert [paid.is_paid(arm) for arm in arms[:3]] == [True, False, True]
    assert list(paid.log_charges(arms[:2])) == [paid.log_charge, 0.0]


def test_an_arm_that_differs_by_a_rounding_error_gets_the_training_that_is_there() -> None:
    request = one_trained(request_of(NESTED, 20))
    belief = Belief.of(request)
    assert belief is not None
    arm = request.observations[-1].arm
    off = {**arm.parameters, "rate": float(arm.parameters["rate"]) * (1 + 1e-12), "kept": 2}
    restored = PaidTrainings(belief).restored(Arm(parameters=off))
    assert restored.parameters == {**arm.parameters, "kept": 2}


def test_no_more_siblings_than_trainings_are_under_way() -> None:
    """A host that only trains must find something to train in the pool."""
    request = one_trained(request_of(NESTED, 20)).model_copy(update={"count": 4})
    found = GpOptimizer().suggest(request)
    cheap = [is_sibling(request, suggestion.arm) for suggestion in found]
    assert cheap[0]
    assert not all(cheap)


def test_siblings_keep_to_constraints_and_conditions() -> None:
    """A pruned network alone has a threshold; what is kept is bounded by what is trained."""
    space = space_with(
        "pruned",
        "threshold",
        "kept",
        parameters=(
            int_("layers", 2, 8),
            float_("width"),
            {"type": "bool", "name": "pruned"},
            float_("threshold", when={"parameter": "pruned", "values": [True]}),
            {
                "type": "fixed",
                "name": "format",
                "value": "sparse",
                "when": {"parameter": "pruned", "values": [True]},
            },
            int_("kept", 1, 8),
        ),
        constraints=("kept <= layers",),
    )

    def measuring(arm: Arm) -> dict[str, Measurement]:
        kept, width = int(arm.parameters["kept"]), float(arm.parameters["width"])
        work = kept * (0.2 + width) * (0.8 if arm.parameters["pruned"] else 1.0)
        return {"m0": Measurement(mean=math.exp(-work)), "m1": Measurement(mean=work)}

    request = request_after(space, 9, strategy="gp", measuring=measuring, stage_costs_s=COSTS)
    belief = Belief.of(request)
    assert belief is not None
    known = KnownArms(belief.encoding, request.known_arms)
    paid = PaidTrainings(belief)
    found = paid.best(belief.acquisition(belief.pending), known)
    assert found is not None
    arm, _ = found
    assert space.contains(arm)
    observed = [one.arm for one in request.observations]
    assert arm not in observed
    assert trainings(space, [arm])[0] in trainings(space, observed)
    for suggestion in GpOptimizer().suggest(request.model_copy(update={"count": 3})):
        assert space.contains(suggestion.arm)


def test_a_training_that_depends_on_an_evaluation_parameter_is_not_taken_for_another() -> None:
    """`extra` is trained only where `deep` says so: to change `deep` is to train anew."""
    space = space_with(
        "deep",
        parameters=(
            {"type": "bool", "name": "deep"},
            int_("extra", 1, 20, when={"parameter": "deep", "values": [True]}),
            choice("layers", list(range(1, 21))),
        ),
    )
    request = request_after(space, 8, strategy="gp", stage_costs_s=COSTS)
    belief = Belief.of(request)
    assert belief is not None
    known = KnownArms(belief.encoding, request.known_arms)
    found = PaidTrainings(belief).best(belief.acquisition(belief.pending), known)
    assert found is None


def test_a_candidate_with_a_paid_training_is_kept_more_readily() -> None:
    request = one_trained(request_of(NESTED, 20))
    sibling = GpOptimizer().suggest(request)[0].arm
    again = request.model_copy(update={"replaceable": (sibling,), "count": 1})
    assert GpOptimizer().suggest(again)[0].arm == sibling


@pytest.mark.parametrize("name", ["mixed", "conditional", "linear"])
def test_spaces_without_evaluation_parameters_know_of_no_costs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit what the search alone proposes: nothing is restored, charged or taken."""
    request = request_after(SPACES[name], 9, strategy="gp", count=2)
    with_costs = request.model_copy(update={"stage_costs_s": COSTS})
    found = [GpOptimizer().suggest(one) for one in (request, with_costs)]
    monkeypatch.setattr(PaidTrainings, "best", lambda *_: None)
    monkeypatch.setattr(PaidTrainings, "restored", lambda _, arm: arm)
    monkeypatch.setattr(PaidTrainings, "log_charges", lambda _, arms: np.zeros(len(arms)))
    found.append(GpOptimizer().suggest(request))
    plain, costly, without = [[one.model_dump_json() for one in answer] for answer in found]
    assert plain == costly == without
    assert "paid" not in "".join(plain)


def cost_to_reach(
    space: ParameterSpace, volume: float, seed: int, *, at_most_s: float = math.inf
) -> float:
    """Seconds until the front's hypervolume is so large, infinite if they do not suffice.

    Trainings are paid once, whether or not the space says what they depend on.
    """
    observations: list[Observation] = []
    trained: set[str] = set()
    spent, reached = 0.0, 0.0
    while reached < volume:
        request = SuggestRequest(
            space=space,
            objectives=GOALS,
            observations=tuple(observations),
            stage_costs_s=COSTS,
            seed=seed,
        )
        strategy = "gp" if len(observations) >= 5 else "sobol"
        suggested = find_optimizer(strategy).suggest(request)[0]
        training = NESTED.training_configuration(suggested.arm).signature
        spent += MEASURE_S + (0.0 if training in trained else TRAIN_S)
        if spent > at_most_s:
            return math.inf
        trained.add(training)
        observations.append(completed(suggested.arm))
        points = np.array([[-m.mean for m in o.measurements.values()] for o in observations])
        reached = hypervolume(points, np.array([-1.0, -1.0]))
    return spent


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_given_hypervolume_costs_less(seed: int) -> None:
    """The same problem, where the space does not tell which parameters no training depends on."""
    spent = cost_to_reach(NESTED, volume=0.55, seed=seed)
    assert spent < 1_200
    assert cost_to_reach(space_with(), volume=0.55, seed=seed, at_most_s=1.1 * spent) == math.inf
