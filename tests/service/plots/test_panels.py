import pytest

from service.domain.insight import Prediction
from service.domain.measurement import Measurement
from service.domain.observed_front import observe_front
from service.plots.panels import panels_of
from tests.service.made_insights import make_predicted_front
from tests.service.made_trials import METRICS, make_experiment, make_front, make_trial

THREE = (
    {"metric": "frame_error", "goal": "minimize"},
    {"metric": "latency_ms", "goal": "minimize"},
    {"metric": "file_size_bytes", "goal": "minimize"},
)
FOUR = (*THREE, {"metric": "accuracy", "goal": "maximize"})


@pytest.mark.parametrize(
    ("objectives", "pairs"),
    [
        (THREE[:1], [("trial", "frame_error")]),
        (THREE[:2], [("latency_ms", "frame_error")]),
        (
            THREE,
            [
                ("latency_ms", "frame_error"),
                ("file_size_bytes", "frame_error"),
                ("file_size_bytes", "latency_ms"),
            ],
        ),
    ],
)
def test_one_panel_per_pair_of_objectives(objectives, pairs):
    front, _ = make_front(objectives=objectives)
    assert [(panel.x.name, panel.y.name) for panel in panels_of(front)] == pairs


def test_four_objectives_make_six_panels():
    front, _ = make_front(objectives=FOUR)
    panels = panels_of(front)
    assert len(panels) == 6
    assert not any(panel.is_whole or panel.region for panel in panels)


def test_every_trial_is_in_the_panel_by_its_kind():
    front, _ = make_front(outcome_constraints=["file_size_bytes <= 5e5"])
    (panel,) = panels_of(front)
    assert len(panel.front) == len(front.front)
    assert len(panel.dominated) + len(panel.infeasible) == front.others_total
    assert len(panel.infeasible) > 0
    assert all(mark.y_sem == 0.01 for mark in panel.front)


def test_lines_mark_thresholds_and_bounds():
    objectives = (
        {"metric": "frame_error", "goal": "minimize", "threshold": 0.5},
        {"metric": "latency_ms", "goal": "minimize"},
    )
    front, _ = make_front(objectives=objectives, outcome_constraints=["latency_ms <= 8"])
    (panel,) = panels_of(front)
    labels = [line.label for line in panel.lines]
    assert labels[0] == "latency_ms ≤ 8"
    assert labels[1].startswith("reference (inferred) ")
    assert labels[2] == "threshold 0.5"
    assert [line.along for line in panel.lines] == ["x", "x", "y"]


def test_the_best_so_far_only_improves():
    front, _ = make_front(objectives=THREE[:1])
    (panel,) = panels_of(front)
    levels = [y for _, y in panel.corners]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == panel.front[0].y
    assert panel.line_label == "best so far"


def test_a_diverged_trial_is_counted_as_outside():
    trials = [
        make_trial(n, {"frame_error": e, "latency_ms": ms})
        for n, (e, ms) in enumerate([(0.1, 3), (0.2, 2), (0.3, 2.5), (0.9, 1e6)])
    ]
    (panel,) = panels_of(observe_front(make_experiment(metrics=METRICS), trials, 10))
    assert panel.outside == 1


def test_without_trials_there_is_nothing_to_draw():
    front, _ = make_front(0)
    assert panels_of(front) == ()


def test_the_model_s_front_is_placed_by_its_means_tried_arms_first():
    front, _ = make_predicted_front()
    (panel,) = panels_of(front)
    assert [(group.is_tried, len(group.marks)) for group in panel.predicted] == [
        (True, 4),
        (False, 3),
    ]
    for mark in (mark for group in panel.predicted for mark in group.marks):
        error, latency = (mark.forecast.predictions[n] for n in ("frame_error", "latency_ms"))
        assert (mark.x, mark.y) == (latency.mean, error.mean)
        assert (mark.x_sd, mark.y_sd) == (latency.sd, error.sd)
        assert panel.x.shows(mark.x)
        assert panel.y.shows(mark.y)


def test_a_prediction_below_zero_leaves_a_logarithmic_axis_as_it_is():
    front, _ = make_predicted_front()
    wide = front.others[0].model_copy(
        update={
            "measurements": front.others[0].measurements
            | {"latency_ms": Measurement(mean=9_000.0, unit="ms")}
        }
    )
    front = front.model_copy(update={"others": (*front.others, wide)})
    below = tuple(
        one.model_copy(
            update={"predictions": one.predictions | {"latency_ms": Prediction(mean=-1, sd=1)}}
        )
        for one in front.predicted.front
    )
    sunk = front.model_copy(
        update={"predicted": front.predicted.model_copy(update={"front": below})}
    )
    assert panels_of(front)[0].x.is_log
    assert panels_of(sunk)[0].x.is_log


def test_without_an_insight_nothing_is_predicted():
    assert all(panel.predicted == () for panel in panels_of(make_front()[0]))
