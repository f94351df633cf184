import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.arm import Arm
from service.domain.measurement import Measurement
from service.domain.observed_front import observe_front, trace_hypervolume
from service.domain.pick import pick_trial
from service.domain.replicates import is_replicate, pool_measurements, pool_replicates
from service.domain.trial import Stage, StageStatus, TrialStatus
from tests.service.made_trials import make_experiment, make_trial

VALUES = st.floats(-1e6, 1e6)
SEMS = st.floats(1e-6, 1e6)
MEASURED = st.builds(lambda mean, sem: Measurement(mean=mean, sem=sem), VALUES, SEMS)


def measured(error, latency_ms=5.0, sem=0.1):
    return {
        "frame_error": Measurement(mean=error, sem=sem, n=100),
        "latency_ms": Measurement(mean=latency_ms, sem=0.01, n=10, unit="ms"),
    }


def replicate(number, of, error, status=TrialStatus.COMPLETED, arm=None):
    trial = make_trial(number, measured(error), status, parameters=arm or {"width": of / 100})
    return trial.model_copy(update={"source": "replicate", "note": {"replicates": of}})


def original(number, error, latency_ms=5.0):
    return make_trial(number, measured(error, latency_ms), parameters={"width": number / 100})


def test_one_measurement_stays_as_it_is():
    one = Measurement(mean=0.3, sem=0.1, n=7, protocol={"threads": 1})
    assert pool_measurements([one]) is one


def test_the_precise_weighs_more_than_the_vague():
    pooled = pool_measurements([Measurement(mean=1.0, sem=0.1), Measurement(mean=1.2, sem=0.2)])
    assert pooled.mean == pytest.approx((1.0 / 0.01 + 1.2 / 0.04) / (1 / 0.01 + 1 / 0.04))
    assert pooled.sem == pytest.approx((1 / 0.01 + 1 / 0.04) ** -0.5)
    assert (pooled.n, pooled.protocol) == (2, {"pooled_trials": 2})


def test_scatter_beyond_the_errors_widens_the_pooled_one():
    pooled = pool_measurements([Measurement(mean=1.0, sem=0.1), Measurement(mean=2.0, sem=0.1)])
    chi_squared = 2 * (0.5 / 0.1) ** 2
    assert pooled.mean == pytest.approx(1.5)
    assert pooled.sem == pytest.approx(0.1 / math.sqrt(2) * math.sqrt(chi_squared / 1))


def test_unknown_errors_are_told_by_the_scatter():
    values = [Measurement(mean=1.0, sem=0.1), Measurement(mean=2.0), Measurement(mean=3.0)]
    pooled = pool_measurements(values)
    assert (pooled.mean, pooled.sem) == (2.0, pytest.approx(1 / math.sqrt(3)))


def test_an_exact_value_outweighs_all_others():
    exact, vague = Measurement(mean=7.0, sem=0.0), Measurement(mean=9.0, sem=0.5)
    assert (pool_measurements([vague, exact]).mean, pool_measurements([vague, exact]).sem) == (7, 0)
    pooled = pool_measurements([exact, Measurement(mean=8.0, sem=0.0), vague])
    assert (pooled.mean, pooled.sem) == (7.5, pytest.approx(0.5))


@given(st.lists(MEASURED, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_pooling_stays_within_the_means_whatever_the_order(repeats, random):
    pooled = pool_measurements(repeats)
    means = [one.mean for one in repeats]
    span = max(abs(mean) for mean in means) * 1e-9 + 1e-9
    assert min(means) - span <= pooled.mean <= max(means) + span
    shuffled = pool_measurements(random.sample(repeats, len(repeats)))
    assert shuffled.mean == pytest.approx(pooled.mean, rel=1e-9, abs=span)
    assert shuffled.sem == pytest.approx(pooled.sem, rel=1e-6, abs=span)


@given(MEASURED, st.integers(2, 8))
def test_equal_repeats_shrink_the_error_by_the_root_of_their_number(one, count):
    pooled = pool_measurements([one] * count)
    assert pooled.mean == pytest.approx(one.mean, rel=1e-9, abs=1e-9)
    assert pooled.sem == pytest.approx(one.sem / math.sqrt(count), rel=1e-6)


def test_a_replicate_is_merged_into_the_trial_it_repeats():
    trials = [original(0, 0.30), original(1, 0.50), replicate(2, 0, 0.40)]
    first, second = pool_replicates(trials)
    assert (first.trial.number, first.replicates) == (0, (2,))
    assert first.trial.measurements["frame_error"].mean == pytest.approx(0.35)
    assert first.trial.measurements["frame_error"].n == 200
    assert (second.trial, second.replicates) == (trials[1], ())
    assert is_replicate(trials[2])
    assert not is_replicate(trials[0])


@pytest.mark.parametrize(
    "odd",
    [
        replicate(2, 0, 0.4, TrialStatus.EARLY_STOPPED),
        replicate(2, 0, 0.4, TrialStatus.INFEASIBLE),
        replicate(2, 0, 0.4, arm={"width": 0.99}),
        replicate(2, 7, 0.4),
        replicate(2, 0, 0.4).model_copy(update={"note": {}}),
        replicate(2, 0, 0.4).model_copy(update={"source": "manual"}),
    ],
)
def test_what_repeats_nothing_stands_for_itself(odd):
    trials = [original(0, 0.3), odd]
    assert [one.trial for one in pool_replicates(trials)] == trials


def test_the_cost_of_a_point_is_that_of_all_its_trials():
    def stage(seconds):
        return Stage(
            id="s",
            name="train",
            kind="train",
            position=0,
            status=StageStatus.COMPLETED,
            epoch=1,
            attempts=1,
            spent_s=seconds,
        )

    trials = [
        original(0, 0.3).model_copy(update={"stages": (stage(10.0),)}),
        replicate(1, 0, 0.4).model_copy(update={"stages": (stage(2.5),)}),
    ]
    (point,) = observe_front(make_experiment(), trials, 9).front
    assert point.cost.spent_s == {"train": 12.5}


def test_a_lucky_trial_loses_its_place_when_it_is_repeated():
    lucky, solid = original(0, 0.10), original(1, 0.20)
    before = observe_front(make_experiment(), [lucky, solid], 9)
    assert [point.trial_number for point in before.front] == [0]
    after = observe_front(make_experiment(), [lucky, solid, replicate(2, 0, 0.5)], 9)
    assert [point.trial_number for point in after.front] == [1]
    (other,) = after.others
    assert (other.trial_number, other.replicates) == (0, (2,))


def test_a_pick_goes_by_what_all_repeats_say():
    trials = [original(0, 0.10), original(1, 0.20), replicate(2, 0, 0.5)]
    pick = pick_trial(make_experiment(), trials, {"latency_ms": 9})
    assert pick.best.point.trial_number == 1
    assert [(o.point.trial_number, o.point.replicates) for o in pick.alternatives] == [(0, (2,))]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 9)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.floats(0, 1)), max_size=6),
)
def test_the_trace_never_falls_and_ends_at_the_front(points, repeats):
    trials = [original(n, error, latency) for n, (error, latency) in enumerate(points)]
    for number, (of, error) in enumerate(repeats, start=len(trials)):
        trials.append(replicate(number, of % len(points), error))
    experiment = make_experiment()
    front = observe_front(experiment, trials, 99)
    volumes = [p.hypervolume for p in trace_hypervolume(experiment, trials).points]
    assert len(volumes) == len(trials)
    assert volumes == sorted(volumes)
    assert volumes[-1] == pytest.approx(front.hypervolume, rel=1e-6, abs=1e-12)
    assert len(front.front) + front.others_total == len(points)
    assert volumes[len(points) - 1] == volumes[-1]  # replicates add nothing of their own


def test_arms_are_told_apart_by_all_their_values():
    one = replicate(2, 0, 0.4, arm={"width": 0.0, "deep": True})
    assert one.arm != Arm(parameters={"width": 0.0})
    assert len(pool_replicates([original(0, 0.3), one])) == 2
