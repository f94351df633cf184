import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.hypervolume import hypervolume
from service.domain.observed_front import observe_front, trace_hypervolume
from service.domain.pareto import oriented
from service.domain.trial import TrialStatus
from tests.service.made_trials import make_experiment, make_trial, trials_at

WITH_THRESHOLDS = (
    {"metric": "accuracy", "goal": "maximize", "threshold": 0.5},
    {"metric": "latency_ms", "goal": "minimize", "threshold": 10},
)
VALUES = st.floats(-100, 100) | st.sampled_from([0.0, 1.0, 1e308, -1e308, sys.float_info.max])


def numbers(points):
    return [point.trial_number for point in points]


def test_the_front_comes_best_first_by_the_first_objective():
    trials = trials_at((0.3, 2), (0.1, 9), (0.2, 4), (0.25, 5))
    front = observe_front(make_experiment(), trials, 10)
    assert numbers(front.front) == [1, 2, 0]
    assert numbers(front.others) == [3]
    assert all(point.feasible for point in front.others)


def test_its_hypervolume_is_that_of_known_rectangles():
    metrics = ("accuracy", "latency_ms")
    trials = trials_at((0.9, 8), (0.7, 2), metrics=metrics)
    front = observe_front(make_experiment(WITH_THRESHOLDS), trials, 10)
    # Rectangles to (0.5, 10): 0.4 x 2 and 0.2 x 8, overlapping in 0.2 x 2.
    assert front.hypervolume == pytest.approx(0.8 + 1.6 - 0.4)
    assert front.reference_point.values == {"accuracy": 0.5, "latency_ms": 10.0}
    assert front.reference_point.inferred == ()


def test_inferred_coordinates_are_named():
    front = observe_front(make_experiment(), trials_at((0.2, 4), (0.1, 8)), 10)
    assert front.reference_point.inferred == ("frame_error", "latency_ms")
    assert front.reference_point.values == pytest.approx({"frame_error": 0.21, "latency_ms": 8.4})


def test_trials_outside_the_constraints_stand_behind_however_good():
    experiment = make_experiment(outcome_constraints=["file_size_bytes <= 100"])
    sizes = {0: 100, 1: 101}
    trials = [
        make_trial(n, {"frame_error": 0.5 - n / 10, "latency_ms": 1, "file_size_bytes": size})
        for n, size in sizes.items()
    ] + [make_trial(2, {"frame_error": 0.0, "latency_ms": 0})]
    front = observe_front(experiment, trials, 10)
    assert numbers(front.front) == [0]
    assert [(p.trial_number, p.feasible) for p in front.others] == [(1, False), (2, False)]


def test_statuses_decide_who_is_shown():
    both = {"frame_error": 0.2, "latency_ms": 4}
    trials = [make_trial(n, both, status) for n, status in enumerate(TrialStatus)]
    trials.append(make_trial(99, {"frame_error": 0.1}, TrialStatus.INFEASIBLE))
    front = observe_front(make_experiment(), trials, 10)
    status_of = dict(enumerate(TrialStatus))
    assert {status_of[n] for n in numbers(front.front)} == {
        TrialStatus.COMPLETED,
        TrialStatus.EARLY_STOPPED,
    }
    assert [status_of[n] for n in numbers(front.others)] == [TrialStatus.INFEASIBLE]
    assert not front.others[0].feasible


def test_without_trials_there_is_no_reference_point_to_infer():
    front = observe_front(make_experiment(), [], 10)
    assert (front.front, front.others, front.hypervolume) == ((), (), None)
    assert front.reference_point is None


def test_with_thresholds_an_empty_front_has_no_volume():
    front = observe_front(make_experiment(WITH_THRESHOLDS), [], 10)
    assert front.hypervolume == 0.0


def test_others_are_bounded_evenly_and_counted_in_full():
    trials = trials_at((0, 0), *((1 + i, 1 + i) for i in range(100)))
    front = observe_front(make_experiment(), trials, 10)
    assert numbers(front.others) == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91]
    assert front.others_total == 100


def test_only_the_front_carries_protocols():
    measured = {
        name: {"mean": 1, "sem": 0.1, "protocol": {"runtime": "onnxruntime"}}
        for name in ("frame_error", "latency_ms")
    }
    worse = {name: values | {"mean": 2} for name, values in measured.items()}
    front = observe_front(make_experiment(), [make_trial(0, measured), make_trial(1, worse)], 10)
    assert front.front[0].measurements["latency_ms"].protocol == {"runtime": "onnxruntime"}
    assert front.others[0].measurements["latency_ms"].protocol == {}
    assert front.others[0].measurements["latency_ms"].sem == 0.1


def test_the_trace_follows_the_order_of_ending():
    trials = [
        make_trial(0, {"accuracy": 0.9, "latency_ms": 8}, ended_s=60),
        make_trial(1, {"accuracy": 0.7, "latency_ms": 2}, ended_s=20),
        make_trial(2, {"accuracy": 0.6, "latency_ms": 3}, ended_s=90),
    ]
    trace = trace_hypervolume(make_experiment(WITH_THRESHOLDS), trials)
    assert [p.trial_number for p in trace.points] == [1, 0, 2]
    assert [p.completed for p in trace.points] == [1, 2, 3]
    assert [p.elapsed_s for p in trace.points] == [20.0, 60.0, 90.0]
    assert [p.hypervolume for p in trace.points] == pytest.approx([1.6, 2.0, 2.0])


def test_trials_outside_the_constraints_add_nothing_to_the_trace():
    experiment = make_experiment(outcome_constraints=["file_size_bytes <= 100"])
    trials = trials_at((0.5, 5), (0.1, 1))
    trace = trace_hypervolume(experiment, trials)
    assert [p.hypervolume for p in trace.points] == [0.0, 0.0]
    assert trace.reference_point is None


@given(st.integers(1, 4).flatmap(lambda m: st.lists(st.tuples(*[VALUES] * m), max_size=25)))
def test_the_trace_never_falls_and_ends_at_the_front_s_hypervolume(points):
    width = len(points[0]) if points else 2
    metrics = ("frame_error", "accuracy", "latency_ms", "file_size_bytes")[:width]
    objectives = tuple(
        {"metric": m, "goal": "maximize" if m == "accuracy" else "minimize"} for m in metrics
    )
    experiment = make_experiment(objectives)
    trials = trials_at(*points, metrics=metrics)
    front = observe_front(experiment, trials, 100)
    volumes = [p.hypervolume for p in trace_hypervolume(experiment, trials).points]
    assert volumes == sorted(volumes)
    if points:
        assert volumes[-1] == pytest.approx(front.hypervolume, rel=1e-6)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12), st.randoms())
def test_the_front_does_not_depend_on_the_order_of_the_trials(points, random):
    trials = trials_at(*points)
    shuffled = random.sample(trials, len(trials))
    one, other = (observe_front(make_experiment(), t, 100) for t in (trials, shuffled))
    assert one.front == other.front
    assert one.reference_point == other.reference_point


def test_more_trials_never_lower_the_hypervolume_at_given_thresholds():
    points = ((0.6, 9), (0.55, 2), (0.9, 9.5), (0.7, 5), (0.4, 1), (0.95, 1))
    trials = trials_at(*points, metrics=("accuracy", "latency_ms"))
    experiment = make_experiment(WITH_THRESHOLDS)
    volumes = [observe_front(experiment, trials[:n], 10).hypervolume for n in range(7)]
    assert volumes == sorted(volumes)
    best = oriented(experiment.spec.objectives, [t.measurements for t in trials])
    assert volumes[-1] == pytest.approx(hypervolume(best, oriented_reference()))


def oriented_reference():
    return oriented(
        make_experiment(WITH_THRESHOLDS).spec.objectives,
        [make_trial(0, {"accuracy": 0.5, "latency_ms": 10}).measurements],
    )[0]
