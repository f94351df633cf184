from service.plots.hypervolume_plot import hypervolume_figure, trials_since_growth
from tests.service.made_trials import make_front


def level_after(line, completed):
    """What the step line shows at so many completed trials."""
    return [y for x, y in zip(line.x, line.y, strict=True) if x <= completed][-1]


def test_it_starts_at_nothing_and_follows_the_trace():
    _, trace = make_front()
    (line,) = hypervolume_figure(trace).data
    assert (line.x[0], line.y[0]) == (0, 0.0)
    assert line.x[-1] == 24
    assert line.line.shape == "hv"
    for point in trace.points:
        assert level_after(line, point.completed) == point.hypervolume


def test_marks_stand_where_it_grew_and_nowhere_else():
    _, trace = make_front()
    (line,) = hypervolume_figure(trace).data
    volumes = [0.0, *(point.hypervolume for point in trace.points)]
    grew = {n for n in range(1, 25) if volumes[n] > volumes[n - 1]}
    marked = {x for x, size in zip(line.x, line.marker.size, strict=True) if size}
    assert marked == grew
    assert set(line.x) == grew | {0, 24}


def test_a_trace_that_never_grew_is_a_line_at_nothing():
    _, trace = make_front(outcome_constraints=["file_size_bytes <= 0"])
    (line,) = hypervolume_figure(trace).data
    assert (list(line.x), list(line.y)) == ([0, 24], [0.0, 0.0])


def test_without_trials_there_is_no_figure():
    _, trace = make_front(0)
    assert hypervolume_figure(trace) is None


def test_trials_since_the_last_growth_are_counted():
    _, trace = make_front()
    volumes = [point.hypervolume for point in trace.points]
    grew_at = max(n for n in range(1, len(volumes)) if volumes[n] > volumes[n - 1])
    assert trials_since_growth(trace) == len(volumes) - 1 - grew_at
    assert trials_since_growth(trace.model_copy(update={"points": trace.points[:1]})) == 0
    assert trials_since_growth(trace.model_copy(update={"points": ()})) == 0


def test_trials_that_never_added_anything_are_all_counted():
    _, trace = make_front(outcome_constraints=["file_size_bytes <= 0"])
    assert trials_since_growth(trace) == len(trace.points) == 24
