import pytest
from pydantic import ValidationError

from service.domain.objective import Objective, OutcomeConstraint


def test_sign_says_where_better_lies():
    assert Objective(metric="accuracy", goal="maximize").sign == 1
    assert Objective(metric="latency_ms", goal="minimize").sign == -1


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), "fast"])
def test_a_threshold_is_a_finite_number(threshold):
    with pytest.raises(ValidationError, match="threshold"):
        Objective(metric="latency_ms", goal="minimize", threshold=threshold)


@pytest.mark.parametrize(
    ("text", "metric", "op", "bound"),
    [
        ("file_size_bytes <= 4e6", "file_size_bytes", "<=", 4e6),
        (" accuracy>=0.9 ", "accuracy", ">=", 0.9),
        ("val.loss-1 <= -.5", "val.loss-1", "<=", -0.5),
    ],
)
def test_a_constraint_is_read_from_text(text, metric, op, bound):
    assert OutcomeConstraint.model_validate(text) == OutcomeConstraint(
        metric=metric, op=op, bound=bound
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("latency_ms < 5", "metric <= number"),
        ("5 <= latency_ms", "metric <= number"),
        ("latency_ms <= fast", "'fast'"),
        ("latency_ms <= nan", "finite"),
    ],
)
def test_an_unreadable_constraint_is_refused_with_the_remedy(text, told):
    with pytest.raises(ValidationError, match=told):
        OutcomeConstraint.model_validate(text)


def test_bounds_include_themselves():
    upper = OutcomeConstraint(metric="m", op="<=", bound=5)
    assert [upper.holds(value) for value in (4.9, 5.0, 5.1)] == [True, True, False]
    lower = OutcomeConstraint(metric="m", op=">=", bound=5)
    assert [lower.holds(value) for value in (4.9, 5.0, 5.1)] == [False, True, True]
