import json

import pytest

from search_spaces.metric import MetricDefinition
from service.plots.front_plot import front_figures
from service.plots.panels import panels_of
from tests.service.made_insights import make_predicted_front
from tests.service.made_trials import METRICS, make_front

NAMES = ("frame_error", "latency_ms", "file_size_bytes", "accuracy")


def objectives(count):
    return tuple(
        {"metric": m, "goal": "maximize" if m == "accuracy" else "minimize"} for m in NAMES[:count]
    )


def traces(figure):
    return {trace.name.split(" (")[0]: trace for trace in figure.data}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_panel_becomes_a_figure_of_svg_scatters(count):
    front, _ = make_front(objectives=objectives(count))
    figures = front_figures(front)
    assert len(figures) == len(panels_of(front))
    for figure in figures:
        assert {trace.type for trace in figure.data} == {"scatter"}
        json.loads(figure.to_json())


def test_the_marks_are_the_trials():
    front, _ = make_front(outcome_constraints=["file_size_bytes <= 5e5"])
    (figure,) = front_figures(front)
    by_name = traces(figure)
    assert list(by_name["on the front"].customdata) == [p.trial_number for p in front.front]
    assert list(by_name["on the front"].x) == [
        p.measurements["latency_ms"].mean for p in front.front
    ]
    shown = len(by_name["dominated"].x) + len(by_name["outside the constraints"].x)
    assert shown == len(front.others)


def test_kinds_differ_by_shape_not_by_colour_alone():
    front, _ = make_front(outcome_constraints=["file_size_bytes <= 5e5"])
    (figure,) = front_figures(front)
    symbols = [trace.marker.symbol for trace in figure.data if trace.customdata is not None]
    assert len(set(symbols)) == len(symbols) == 3


def test_bars_are_two_standard_errors():
    front, _ = make_front()
    (figure,) = front_figures(front)
    assert set(traces(figure)["on the front"].error_y.array) == {0.02}


def test_axes_name_unit_and_direction():
    front, _ = make_front()
    (figure,) = front_figures(front)
    assert figure.layout.xaxis.title.text == "latency_ms [ms], lower is better"
    assert figure.layout.yaxis.title.text == "frame_error, lower is better"


def test_a_unit_cannot_smuggle_in_markup():
    metrics = (*METRICS[:2], MetricDefinition(name="latency_ms", unit="<b>ms</b>"), METRICS[3])
    front, _ = make_front(metrics=metrics)
    (figure,) = front_figures(front)
    assert "<b>ms" not in figure.to_json()
    assert "&lt;b&gt;ms" in figure.layout.xaxis.title.text


def test_without_trials_there_is_no_figure():
    front, _ = make_front(0)
    assert front_figures(front) == ()


def test_the_model_s_front_has_marks_of_its_own_with_bars():
    (figure,) = front_figures(make_predicted_front()[0])
    traces = {trace.name: trace for trace in figure.data}
    tried, never = traces["predicted front (4)"], traces["predicted, never tried (3)"]
    symbols = {tried.marker.symbol, never.marker.symbol, traces["on the front (9)"].marker.symbol}
    assert len(symbols) == 3
    forecast = make_predicted_front()[0].predicted.front
    sds = [2 * one.predictions["latency_ms"].sd for one in forecast if not one.is_tried]
    assert list(never.error_x.array) == pytest.approx(sds)
    assert "never tried" in never.hovertext[0]
    assert "width = " in never.hovertext[0]
    assert tried.customdata is None  # a table's row of a trial is tied to what was measured


def test_a_mark_of_several_trials_names_them():
    front, _ = make_front()
    point = front.front[0].model_copy(update={"replicates": (30, 31)})
    (figure,) = front_figures(front.model_copy(update={"front": (point, *front.front[1:])}))
    hovers = [text for trace in figure.data for text in trace.hovertext or ()]
    assert sum("pooled with trials 30, 31, which ran it again" in text for text in hovers) == 1
