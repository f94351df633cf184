import pytest
from pydantic import ValidationError

from search_spaces.arm import Arm
from search_spaces.builtin import builtin_spaces
from search_spaces.metric import MEASURED_METRICS, TRAINED_METRICS
from search_spaces.space import SearchSpace


@pytest.fixture
def fields():
    return next(iter(builtin_spaces())).space.model_dump()


def test_refuses_a_baseline_outside_the_space(fields):
    fields["baseline"]["parameters"]["layers"] = 99
    with pytest.raises(ValidationError, match=r"baseline lies outside.*layers.*got 99"):
        SearchSpace.model_validate(fields)


def test_a_trial_carries_the_spaces_metrics_and_everyones(fields):
    space = SearchSpace.model_validate(fields)
    assert space.all_metrics == space.metrics + TRAINED_METRICS + MEASURED_METRICS
    assert "latency_ms" in {metric.name for metric in space.all_metrics}


@pytest.mark.parametrize(
    "changes", [{"version": 0}, {"metrics": ()}, {"name": "no spaces"}, {"colour": "red"}]
)
def test_refuses_what_is_incomplete_or_unknown(fields, changes):
    with pytest.raises(ValidationError):
        SearchSpace.model_validate(fields | changes)


def test_is_frozen(fields):
    space = SearchSpace.model_validate(fields)
    with pytest.raises(ValidationError, match="frozen"):
        space.version = 2
    with pytest.raises(ValidationError, match="frozen"):
        space.baseline = Arm(parameters={})


def test_what_needs_trained_weights_is_not_measured_before_training(fields):
    fields["metrics"][0]["stage"] = "measure"
    with pytest.raises(ValidationError, match=r"frame_error.*need trained weights"):
        SearchSpace.model_validate(fields)
    space = SearchSpace.model_validate(fields | {"measures_untrained": False})
    assert [metric.name for metric in space.evaluated_metrics] == ["frame_error"]
    assert "frame_error" not in {metric.name for metric in space.trained_metrics}


def test_a_metric_of_every_device_is_apart_from_those_evaluated_once(fields):
    fields["metrics"][0].update(stage="measure", by_device=True)
    with pytest.raises(ValidationError, match=r"frame_error.*need trained weights"):
        SearchSpace.model_validate(fields)
    space = SearchSpace.model_validate(fields | {"measures_untrained": False})
    assert [metric.name for metric in space.deployed_metrics] == ["frame_error"]
    assert space.evaluated_metrics == ()
    assert "frame_error" not in {metric.name for metric in space.trained_metrics}


def with_precision(fields, **changes):
    """The space with a precision as its last parameter, and that parameter changed."""
    values = ("fp32", "int8_dynamic")
    parameter = {"type": "choice", "name": "precision", "values": values} | changes
    space = fields["space"] | {"evaluation_parameters": ("precision",)}
    space["parameters"] = (*space["parameters"], parameter)
    arm = {"parameters": {**fields["baseline"]["parameters"], "precision": "fp32"}}
    return fields | {"space": space, "baseline": arm, "precision_parameter": "precision"}


def test_a_space_may_let_its_arms_choose_their_precision(fields):
    space = SearchSpace.model_validate(with_precision(fields))
    assert space.precision_parameter == "precision"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"type": "fixed", "values": None, "value": "fp32"}, "must be a choice"),
        ({"when": {"parameter": "layers", "values": (1, 2, 3)}}, "without a precision"),
    ],
)
def test_a_precision_that_some_arms_lack_is_refused(fields, changes, told):
    given = with_precision(fields, **changes)
    (parameter,) = given["space"]["parameters"][-1:]
    given["space"]["parameters"] = (
        *given["space"]["parameters"][:-1],
        {name: value for name, value in parameter.items() if value is not None},
    )
    with pytest.raises(ValidationError, match=told):
        SearchSpace.model_validate(given)


def test_a_precision_that_trainings_depend_on_is_refused(fields):
    given = with_precision(fields)
    given["space"]["evaluation_parameters"] = ()
    with pytest.raises(ValidationError, match=r"'precision', which must be .*evaluation_param"):
        SearchSpace.model_validate(given)
