import pytest

from search_spaces.arm import Arm
from service.domain.measurement import Measurement
from service.domain.objective import OutcomeConstraint
from service.domain.trial import TrialStatus
from service.optimizer.history import (
    can_be_modelled,
    incumbents,
    instructive_arms,
    measured_arms,
    metrics_of_interest,
    reference_point,
)
from service.optimizer.optimizer import Observation, SuggestRequest
from tests.service.optimizer.tricky_spaces import float_, objectives, space_of

SPACE = space_of(float_("x"))


def observed(x: float, status: TrialStatus = TrialStatus.COMPLETED, **found: object) -> Observation:
    measurements = {name: Measurement.model_validate(value) for name, value in found.items()}
    return Observation(arm=Arm(parameters={"x": x}), status=status, measurements=measurements)


def request(*observations: Observation, **more: object) -> SuggestRequest:
    return SuggestRequest.model_validate(
        {"space": SPACE, "objectives": objectives(2), "observations": observations, **more}
    )


def test_constraints_add_their_metrics_after_the_objectives() -> None:
    constraints = tuple(OutcomeConstraint.model_validate(c) for c in ("m2 <= 1", "m0 <= 2"))
    assert metrics_of_interest(request(outcome_constraints=constraints)) == ("m0", "m1", "m2")


def test_metrics_that_nobody_asks_for_and_illegal_arms_are_left_out() -> None:
    arms = measured_arms(request(observed(0.1, m0=1, size=5), observed(0.2, size=5)))
    assert [(arm.means, arm.arm.parameters["x"]) for arm in arms] == [({"m0": 1.0}, 0.1)]
    assert measured_arms(request(observed(7.0, m0=1, m1=2))) == []


def test_an_arm_tried_twice_counts_once_with_less_noise() -> None:
    twice = [observed(0.1, m0={"mean": mean, "sem": 3.0}, m1=mean) for mean in (1, 2)]
    (arm,) = measured_arms(request(*twice))
    assert arm.means == {"m0": 1.5, "m1": 1.5}
    assert arm.sems == {"m0": pytest.approx(3 / 2**0.5), "m1": None}


def test_a_missing_sem_takes_the_median_of_its_metric() -> None:
    sems = [0.1, None, 0.5, 0.2]
    arms = measured_arms(
        request(*(observed(n / 9, m0={"mean": n, "sem": s}, m1=n) for n, s in enumerate(sems)))
    )
    assert [arm.sems["m0"] for arm in arms] == [0.1, 0.2, 0.5, 0.2]
    assert [arm.sems["m1"] for arm in arms] == [None] * 4


def test_two_measurements_of_each_metric_make_a_model() -> None:
    assert not can_be_modelled(request(observed(0.1, m0=1, m1=1)))
    assert not can_be_modelled(request(observed(0.1, m0=1, m1=1), observed(0.2, m0=2)))
    assert not can_be_modelled(request(*(observed(n / 9, **{f"m{n % 2}": n}) for n in range(6))))
    assert can_be_modelled(
        request(observed(0.1, m0=1, m1=1), observed(0.2, m0=2), observed(0.3, m1=2))
    )


def test_the_reference_point_is_that_of_the_front_shown() -> None:
    told = [observed(0.1, m0=0, m1=10), observed(0.2, m0=10, m1=0), observed(0.3, m0=99, m1=99)]
    asked = request(*told)
    assert reference_point(asked, measured_arms(asked)) == {"m0": 11.0, "m1": 11.0}


def test_trials_outside_the_constraints_have_no_say_in_it() -> None:
    told = [
        observed(0.1, m0=0, m1=10, m2=1),
        observed(0.2, m0=10, m1=0, m2=1),
        observed(0.3, m0=90, m1=-90, m2=5),
        observed(0.4, TrialStatus.INFEASIBLE, m0=80, m1=-80, m2=1),
    ]
    asked = request(*told, outcome_constraints=(OutcomeConstraint.model_validate("m2 <= 2"),))
    assert reference_point(asked, measured_arms(asked)) == {"m0": 11.0, "m1": 11.0}


def test_no_reference_point_without_an_arm_that_measured_all_objectives() -> None:
    asked = request(observed(0.1, m0=0), observed(0.2, m1=0))
    assert reference_point(asked, measured_arms(asked)) is None


def test_incumbents_are_the_non_dominated() -> None:
    told = [observed(0.1, m0=0, m1=1), observed(0.2, m0=1, m1=0), observed(0.3, m0=2, m1=2)]
    asked = request(*told, observed(0.4, m0=-9))
    front = incumbents(asked, measured_arms(asked))
    assert [arm.parameters["x"] for arm in front] == [
        0.2,
        0.1,
    ]  # m0, to be minimised, falls along it


def test_of_a_long_history_the_front_and_the_newest_are_modelled() -> None:
    told = [observed(n / 99, m0=50 - n, m1=50 - n) for n in range(10)]
    told[1] = observed(1 / 99, m0=-100, m1=100)
    arms = measured_arms(request(*told), most=4)
    assert [round(float(a.arm.parameters["x"]) * 99) for a in arms] == [1, 7, 8, 9]


def stopped(x: float, forecast: object, **found: object) -> Observation:
    """A trial whose training was stopped; m0 comes from the training, m1 does not."""
    end = None if forecast is None else Measurement.model_validate(forecast)
    trial = observed(x, TrialStatus.EARLY_STOPPED, **found)
    return trial.model_copy(update={"ends": {"m0": end}})


def test_what_a_stopped_training_had_reached_teaches_nothing() -> None:
    told = [observed(0.1, m0=1, m1=4), observed(0.2, m0=2, m1=3)]
    asked = request(*told, stopped(0.3, {"mean": 1.5, "sem": 0.2}, m0=9, m1=2))
    assert [arm.means["m0"] for arm in measured_arms(asked)] == [1, 2, 9]
    assert [arm.means for arm in instructive_arms(asked)][2] == {"m1": 2}
    forecast = instructive_arms(asked, with_forecasts=True)[2]
    assert forecast.means == {"m0": 1.5, "m1": 2}
    assert (forecast.sems["m0"], forecast.has_measured("m0")) == (0.2, False)
    assert forecast.measurements.keys() == {"m1"}


def test_an_end_that_nobody_can_tell_is_left_out() -> None:
    told = [observed(0.1, m0=1, m1=4), observed(0.2, m0=2, m1=3)]
    asked = request(*told, stopped(0.3, None, m0=9, m1=2), stopped(0.4, None, m0=9))
    arms = instructive_arms(asked, with_forecasts=True)
    assert [arm.means for arm in arms[2:]] == [{"m1": 2}]


def test_a_forecast_stands_on_no_front_and_makes_no_measurement_noisy() -> None:
    told = [observed(0.1, m0=1, m1=4), observed(0.2, m0=2, m1=3)]
    asked = request(*told, stopped(0.3, {"mean": -9, "sem": 5}, m1=2))
    arms = instructive_arms(asked, with_forecasts=True)
    assert [arm.parameters["x"] for arm in incumbents(asked, arms)] == [0.2, 0.1]
    assert [arm.sems["m0"] for arm in arms] == [None, None, 5]
    assert not can_be_modelled(request(told[0], stopped(0.3, {"mean": 1, "sem": 1}, m1=2)))


def test_a_measurement_of_the_same_arm_is_worth_more_than_a_forecast() -> None:
    asked = request(stopped(0.1, {"mean": 7, "sem": 1}, m0=9, m1=2), observed(0.1, m0=1, m1=4))
    (arm,) = instructive_arms(asked, with_forecasts=True)
    assert arm.means == {"m0": 1, "m1": 3}
    assert arm.has_measured("m0")
