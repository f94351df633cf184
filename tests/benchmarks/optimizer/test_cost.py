"""The cost benchmark, at a size that takes no time."""

import pytest

from benchmarks.optimizer.cost import load_costs, measure_costs, request_after

pytestmark = pytest.mark.alone


@pytest.mark.slow
def test_a_cost_is_measured_in_a_child_and_kept(tmp_path):
    (cost,) = measure_costs("sobol", [15], [1], tmp_path)
    assert (cost.strategy, cost.trials, cost.seed) == ("sobol", 15, 1)
    assert 0 < cost.cpu_s < 10
    assert load_costs(tmp_path, "sobol") == [cost]
    assert load_costs(tmp_path) == []


def test_the_history_is_a_searchs():
    request = request_after("auto", 60, 0)
    assert len(request.observations) == 60
    assert len({o.arm.signature for o in request.observations}) > 50
    assert request == request_after("auto", 60, 0)
    assert request.initial_trials < 60  # so that the model answers


def test_a_failing_strategy_is_told_by_its_last_words(tmp_path):
    with pytest.raises(RuntimeError, match="no_such"):
        measure_costs("no_such", [15], [0], tmp_path)
