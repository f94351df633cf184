from service.plots.hypervolume_plot import hypervolume_figure, trials_since_growth
from tests.service.made_trials import make_front


def test_it_starts_at_nothing_and_follows_the_trace():
    _, trace = make_front()
    figure = hypervolume_figure(trace)
    (line,) = figure.data
    assert (line.x[0], line.y[0]) == (0, 0.0)
    assert list(line.y[1:]) == [point.hypervolume for point in trace.points]
    assert line.line.shape == "hv"


def test_marks_stand_where_it_grew():
    _, trace = make_front()
    (line,) = hypervolume_figure(trace).data
    grown = [after > before for before, after in zip(line.y, line.y[1:], strict=False)]
    assert [size > 0 for size in line.marker.size[1:]] == grown


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
