import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.objective import Objective
from service.plots.axes import Axis, fit_axis, objective_title

FLOATS = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8)


def fit(wanted, others=()):
    return fit_axis("m", "m", -1, wanted, others)


def test_titles_name_unit_and_direction():
    assert (
        objective_title(Objective(metric="latency_ms", goal="minimize"), "ms")
        == "latency_ms [ms], lower is better"
    )
    assert (
        objective_title(Objective(metric="accuracy", goal="maximize"), "")
        == "accuracy, higher is better"
    )


def test_a_far_off_value_stays_outside():
    axis = fit([1.0, 3.0], [2.0, 5.0, 1e6])
    assert axis.shows(5.0)
    assert not axis.shows(1e6)
    assert axis.high < 6


def test_positive_values_of_many_sizes_get_a_log_axis():
    assert fit([1.0, 60.0]).is_log
    assert not fit([1.0, 40.0]).is_log
    assert not fit([0.0, 1e9]).is_log
    assert not fit([-1.0, 1e9]).is_log


def test_one_value_still_has_a_width():
    axis = fit([5.0])
    assert axis.low < 5 < axis.high
    assert fit([0.0]).low < 0 < fit([0.0]).high
    assert fit([]).low < fit([]).high


@example([], [5e-324])
@example([1.0, 1.1125369292536007e-308], [])
@given(FLOATS, FLOATS)
def test_ranges_are_finite_and_show_what_is_wanted(wanted, others):
    axis = fit(wanted, others)
    assert -sys.float_info.max <= axis.low < axis.high <= sys.float_info.max
    # a logarithmic axis ends at 1e-300 and at 1e300
    drawable = [value for value in wanted if value == 0 or 1e-299 < abs(value) < 1e299]
    assert all(axis.shows(value) for value in drawable)


@pytest.mark.parametrize("values", [[1e-300, 1e300], [5e-324, 1.0]])
def test_log_axes_reach_to_the_edges_of_the_floats(values):
    axis = fit(values)
    assert axis.is_log
    assert 0 < axis.low < axis.high


@pytest.mark.parametrize(
    ("low", "high", "labelled"),
    [
        (0.03, 0.25, [0.03, 0.05, 0.07, 0.1, 0.2]),
        (0.03, 2.5, [0.05, 0.1, 0.2, 0.5, 1, 2]),
        (0.5, 1500.0, [1, 10, 100, 1000]),
    ],
)
def test_a_log_axis_is_labelled_at_round_values(
    low: float, high: float, labelled: list[float]
) -> None:
    axis = Axis("latency_ms", "latency", -1, is_log=True, low=low, high=high)
    assert axis.log_ticks == pytest.approx(labelled)


def test_a_very_wide_log_axis_is_not_crowded() -> None:
    axis = Axis("weights", "weights", -1, is_log=True, low=1e-100, high=1e100)
    assert 5 <= len(axis.log_ticks) <= 10
