import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.experiment import ExperimentSpec
from service.domain.measurement import Measurement
from service.domain.missed_bound import missed_bound

_NUMBERS = st.floats(-1e6, 1e6)


def spec_with(constraints=(), threshold=None, goal="minimize"):
    return ExperimentSpec.model_validate(
        {
            "name": "e",
            "parameters": [{"type": "int", "name": "x", "low": 1, "high": 2}],
            "objectives": [{"metric": "score", "goal": goal, "threshold": threshold}],
            "outcome_constraints": list(constraints),
            "budget": 1,
        }
    )


@pytest.mark.parametrize(
    ("constraint", "mean", "sem", "expected"),
    [
        ("latency_ms <= 20", 31.2, 0.3, "latency_ms 31.2 ± 0.3 exceeds the bound 20"),
        ("latency_ms <= 20", 20.9, 0.3, None),
        ("latency_ms <= 20", 20.91, 0.3, "latency_ms 20.9 ± 0.3 exceeds the bound 20"),
        ("latency_ms <= 20", 20.0, None, None),
        ("latency_ms <= 20", 20.1, None, "latency_ms 20.1 exceeds the bound 20"),
        ("accuracy >= 0.9", 0.8, 0.01, "accuracy 0.800 ± 0.010 falls short of the bound 0.9"),
        ("accuracy >= 0.9", 0.88, 0.01, None),
        ("other <= 1", 99.0, None, None),
    ],
)
def test_a_constraint_is_missed_beyond_three_standard_errors(constraint, mean, sem, expected):
    metric = constraint.split()[0]
    measured = {} if metric == "other" else {metric: Measurement(mean=mean, sem=sem)}
    assert missed_bound(spec_with([constraint]), measured) == expected


@pytest.mark.parametrize(("goal", "worse"), [("minimize", 1.0), ("maximize", -1.0)])
def test_a_threshold_is_a_bound_in_the_objectives_direction(goal, worse):
    spec = spec_with(threshold=5.0, goal=goal)
    assert missed_bound(spec, {"score": Measurement(mean=5.0 + worse, sem=0.1)}) is not None
    assert missed_bound(spec, {"score": Measurement(mean=5.0 - worse, sem=0.1)}) is None
    assert missed_bound(spec, {"score": Measurement(mean=5.0 + worse, sem=0.5)}) is None
    assert missed_bound(spec_with(goal=goal), {"score": Measurement(mean=5.0 + worse)}) is None


@given(mean=_NUMBERS, sem=st.floats(0, 1e3), bound=_NUMBERS, op=st.sampled_from(["<=", ">="]))
def test_what_meets_its_bound_is_never_missed(mean, sem, bound, op):
    spec = spec_with([{"metric": "m", "op": op, "bound": bound}])
    measured = {"m": Measurement(mean=mean, sem=sem)}
    missed = missed_bound(spec, measured)
    if spec.outcome_constraints[0].holds(mean):
        assert missed is None
    elif missed is not None:
        # and more noise never makes a miss surer
        assert abs(mean - bound) >= 3 * sem * (1 - 1e-9)
