"""What our own strategy makes of noise, pending arms, bounds, infeasible arms and sources."""

import math

import numpy as np
import pytest

from search_spaces.arm import Arm
from service.domain.errors import SuggestionFailed
from service.domain.measurement import Measurement
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.trial import TrialStatus
from service.optimizer.belief import Belief
from service.optimizer.gp import GpOptimizer
from service.optimizer.insight_of import insight_of
from service.optimizer.optimizer import Observation, Source, SuggestRequest, find_optimizer
from tests.service.optimizer.tricky_spaces import SPACES, float_, request_after, space_of

SPACE = space_of(float_("x"), float_("y"))
GOALS = (
    Objective(metric="left", goal="maximize", threshold=0.0),
    Objective(metric="right", goal="maximize", threshold=0.0),
)


def measured(arm: Arm, sem: float | None = None) -> dict[str, Measurement]:
    """A front along x at y = 0.7: `left` falls with x, `right` rises."""
    x, y = float(arm.parameters["x"]), float(arm.parameters["y"])
    height = 1.0 - (y - 0.7) ** 2
    values = {
        "left": height * math.cos(1.5 * x),
        "right": height * math.sin(1.5 * x),
        "size": x + y,
    }
    return {name: Measurement(mean=value, sem=sem) for name, value in values.items()}


def arms(count: int, seed: int = 3) -> list[Arm]:
    request = SuggestRequest(space=SPACE, objectives=GOALS, count=count, seed=seed)
    return [suggestion.arm for suggestion in find_optimizer("sobol").suggest(request)]


def completed(arm: Arm, sem: float | None = None) -> Observation:
    return Observation(arm=arm, status=TrialStatus.COMPLETED, measurements=measured(arm, sem))


def request_of(count: int = 10, **more: object) -> SuggestRequest:
    observations = tuple(completed(arm) for arm in arms(count))
    return SuggestRequest.model_validate(
        {
            "space": SPACE,
            "objectives": GOALS,
            "observations": observations,
            "strategy": "gp",
            **more,
        }
    )


def proposed(request: SuggestRequest) -> list[Arm]:
    return [suggestion.arm for suggestion in GpOptimizer().suggest(request)]


def distance(one: Arm, other: Arm) -> float:
    return math.dist(
        [float(one.parameters[name]) for name in "xy"],
        [float(other.parameters[name]) for name in "xy"],
    )


def test_it_goes_to_the_front() -> None:
    for arm in proposed(request_of(count=14)):
        assert float(arm.parameters["y"]) == pytest.approx(0.7, abs=0.1)


def test_several_at_once_keep_apart() -> None:
    found = proposed(request_of(14).model_copy(update={"count": 4}))
    apart = [distance(a, b) for n, a in enumerate(found) for b in found[:n]]
    assert min(apart) > 0.05


def test_what_is_pending_is_not_worth_a_second_try() -> None:
    request = request_of(14)
    first = proposed(request)[0]
    second = proposed(request.model_copy(update={"pending": (first,)}))[0]
    assert distance(first, second) > 0.05


def test_a_bound_on_another_metric_is_kept() -> None:
    bound = OutcomeConstraint(metric="size", op="<=", bound=0.9)
    request = request_of(14, outcome_constraints=(bound,))
    for arm in proposed(request.model_copy(update={"count": 3})):
        assert float(arm.parameters["x"]) + float(arm.parameters["y"]) < 0.95


def test_arms_like_the_infeasible_ones_are_avoided() -> None:
    """Everything right of x = 0.5 fails without a measurement: the search stays left of it."""
    observations = tuple(
        completed(arm)
        if float(arm.parameters["x"]) < 0.5
        else Observation(arm=arm, status=TrialStatus.INFEASIBLE)
        for arm in arms(20)
    )
    request = SuggestRequest(
        space=SPACE, objectives=GOALS, observations=observations, strategy="gp", count=4
    )
    assert all(float(arm.parameters["x"]) < 0.6 for arm in proposed(request))


def test_a_candidate_that_is_still_the_best_stays() -> None:
    request = request_of(14)
    best = proposed(request)[0]
    poor = Arm(parameters={"x": 0.5, "y": 0.0})
    again = request.model_copy(update={"replaceable": (poor, best), "count": 2})
    found = proposed(again)
    assert found[0] == best
    assert poor not in found


def test_measurements_of_running_trials_are_learnt_from() -> None:
    """What is known of the pending arm is not at all what the model would guess."""
    request = request_of(8)
    first = proposed(request)[0]
    pending = request.model_copy(update={"pending": (first,)})
    partial = Observation(
        arm=first, status=TrialStatus.RUNNING, measurements={"left": Measurement(mean=-5.0)}
    )
    guess, belief = (
        Belief.of(pending),
        Belief.of(pending.model_copy(update={"partial": (partial,)})),
    )
    assert guess is not None
    assert belief is not None
    assert guess.surrogate.predict([first])["left"][0][0] > 0
    assert belief.surrogate.predict([first])["left"][0][0] < -2


def test_noise_as_given_moves_the_surrogate_less() -> None:
    """The same outlier, once measured exactly and once told to be worth little."""
    observations = list(request_of(12).observations)
    outlier = dict(observations[5].measurements)

    def predicted(sem: float) -> float:
        outlier["left"] = Measurement(mean=3.0, sem=sem)
        observations[5] = observations[5].model_copy(update={"measurements": dict(outlier)})
        others = [
            one.model_copy(update={"measurements": measured(one.arm, 0.001)})
            for one in observations
        ]
        others[5] = observations[5]
        request = request_of().model_copy(update={"observations": tuple(others)})
        belief = Belief.of(request)
        assert belief is not None
        return float(belief.surrogate.predict([observations[5].arm])["left"][0][0])

    assert predicted(sem=1.0) < 1.2 < predicted(sem=0.001)


@pytest.mark.parametrize("name", ["mixed", "conditional", "linear", "ints"])
def test_equal_requests_give_equal_bits(name: str) -> None:
    request = request_after(SPACES[name], 9, strategy="gp", count=2)
    again = SuggestRequest.model_validate_json(request.model_dump_json())
    one, other = (GpOptimizer().suggest(r) for r in (request, again))
    assert [s.model_dump_json() for s in one] == [s.model_dump_json() for s in other]


def test_a_training_that_was_stopped_does_not_spoil_its_surroundings() -> None:
    """It had reached next to nothing: taken for its end, the model would shun all that is near."""
    request = request_of(14)
    truth = measured(Arm(parameters={"x": 0.4, "y": 0.7}))
    reached = {**truth, "left": Measurement(mean=0.1)}
    ends = {
        "nothing told": {},
        "forecast": {"left": Measurement(mean=truth["left"].mean + 0.02, sem=0.05)},
        "unknown": {"left": None},
    }
    near = Arm(parameters={"x": 0.42, "y": 0.68})
    errors = {}
    for name, end in ends.items():
        stopped = Observation(
            arm=Arm(parameters={"x": 0.4, "y": 0.7}),
            status=TrialStatus.EARLY_STOPPED,
            measurements=reached,
            ends=end,
        )
        belief = Belief.of(
            request.model_copy(update={"observations": (*request.observations, stopped)})
        )
        assert belief is not None
        errors[name] = abs(
            float(belief.surrogate.predict([near])["left"][0][0]) - measured(near)["left"].mean
        )
        assert bool(belief.may_stand[-1]) is (name == "nothing told")
    assert errors["nothing told"] > 0.1
    assert errors["forecast"] < 0.05
    assert errors["unknown"] < 0.05


def test_a_source_that_is_alike_is_worth_many_trials() -> None:
    """After four trials of its own, with sixty elsewhere, the forecast is near the truth."""
    elsewhere = tuple(completed(arm) for arm in arms(60, seed=9))
    asked, errors = arms(30, seed=5), {}
    for name, sources in (("alone", ()), ("warm", (Source(name="a", observations=elsewhere),))):
        belief = Belief.of(request_of(4, sources=sources))
        assert belief is not None
        means = belief.surrogate.predict(asked)["left"][0]
        truth = np.array([measured(arm)["left"].mean for arm in asked])
        errors[name] = float(np.sqrt(np.mean((means - truth) ** 2)))
    assert errors["warm"] < 0.5 * errors["alone"]


def test_a_source_that_misleads_does_little_harm() -> None:
    rng = np.random.default_rng(0)
    nonsense = tuple(
        Observation(
            arm=arm,
            status=TrialStatus.COMPLETED,
            measurements={
                name: Measurement(mean=float(rng.normal())) for name in ("left", "right")
            },
        )
        for arm in arms(60, seed=9)
    )
    asked, errors = arms(30, seed=5), {}
    for name, sources in (("alone", ()), ("misled", (Source(name="a", observations=nonsense),))):
        belief = Belief.of(request_of(14, sources=sources))
        assert belief is not None
        means = belief.surrogate.predict(asked)["left"][0]
        truth = np.array([measured(arm)["left"].mean for arm in asked])
        errors[name] = float(np.sqrt(np.mean((means - truth) ** 2)))
    assert errors["misled"] < 2.0 * errors["alone"] + 0.02


def test_where_noise_limits_the_front_a_contender_is_run_again() -> None:
    """A small space of which all the good is known, and none of it surely."""
    noisy = tuple(completed(arm, sem=0.3) for arm in arms(60))
    request = request_of().model_copy(update={"observations": noisy})
    repeated = GpOptimizer().suggest(request.model_copy(update={"count": 3}))
    again = [one for one in repeated if one.source == "replicate"]
    assert len(again) == 1
    assert again[0].arm in [one.arm for one in noisy]
    under_way = request.model_copy(update={"pending": (again[0].arm,)})
    assert all(one.source == "gp" for one in GpOptimizer().suggest(under_way))


def test_where_nothing_is_noisy_no_arm_is_run_again() -> None:
    request = request_of(60).model_copy(update={"count": 3})
    assert all(one.source == "gp" for one in GpOptimizer().suggest(request))


def test_numbers_that_break_down_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr(Belief, "of", break_down)
    with pytest.raises(SuggestionFailed, match="could not be fitted: not positive definite"):
        GpOptimizer().suggest(request_of())


def test_the_insight_knows_the_front_that_is() -> None:
    request = request_of(24)
    insight = insight_of(request)
    assert insight.observations == 24
    assert len(insight.forecasts) == 24
    for forecast in insight.forecasts:
        truth = measured(forecast.arm)["left"].mean
        assert forecast.predictions["left"].mean == pytest.approx(truth, abs=0.05)
        assert forecast.probability_on_front is not None
    sure = [f for f in insight.forecasts if (f.probability_on_front or 0) > 0.9]
    beaten = [f for f in insight.forecasts if (f.probability_on_front or 0) < 0.1]
    assert sure
    assert beaten
    for forecast in insight.predicted_front:
        assert float(forecast.arm.parameters["y"]) == pytest.approx(0.7, abs=0.25)
    assert insight.expected_gain is not None
    assert 0 < insight.expected_gain < 0.5


def test_less_is_expected_the_more_is_known() -> None:
    few, many = insight_of(request_of(8)), insight_of(request_of(60))
    assert few.relative_expected_gain is not None
    assert many.relative_expected_gain is not None
    assert many.relative_expected_gain < few.relative_expected_gain


def test_noise_leaves_the_front_open() -> None:
    """Two arms that differ by less than their noise: neither is surely on the front."""
    observations = tuple(completed(arm, sem=0.5) for arm in arms(16))
    insight = insight_of(request_of().model_copy(update={"observations": observations}))
    assert max(f.probability_on_front or 0.0 for f in insight.forecasts) < 0.9


def test_without_history_the_insight_is_empty() -> None:
    insight = insight_of(request_of(1).model_copy(update={"observations": ()}))
    assert insight.forecasts == insight.predicted_front == ()
    assert insight.expected_gain is None
