import pytest

from search_spaces.metric import MetricDefinition
from search_spaces.recipe import Estimate
from workers.errors import MetricsDisagree
from workers.measurements import to_measurements

DECLARED = (MetricDefinition(name="error", unit="1"), MetricDefinition(name="loss", unit="nat"))


def test_estimates_get_the_declared_unit_and_the_protocol():
    made = to_measurements(
        {"error": Estimate(0.25, 0.01, 100), "loss": Estimate(1.5)}, DECLARED, {"seed": 3}
    )
    assert (made["error"].mean, made["error"].sem, made["error"].n) == (0.25, 0.01, 100)
    assert (made["loss"].unit, made["loss"].sem, made["loss"].n) == ("nat", None, 1)
    assert made["error"].protocol == made["loss"].protocol == {"seed": 3}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["error"], "missing: loss; not declared: nothing"),
        (["error", "loss", "los"], "missing: nothing; not declared: los"),
        (["error", "los"], "missing: loss; not declared: los"),
    ],
)
def test_other_metrics_than_declared_are_refused_by_name(names, words):
    with pytest.raises(MetricsDisagree, match=words):
        to_measurements({name: Estimate(1.0) for name in names}, DECLARED, {})
