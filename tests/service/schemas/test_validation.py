"""Validation problems name the path in the user's own document, and the remedy."""

from typing import Any

import pytest

from service.domain.experiment import ExperimentSpec
from service.schemas.documents import DocumentInvalid
from service.schemas.leases import CompleteRequest
from service.schemas.validation import did_you_mean, validate

VALID: dict[str, Any] = {
    "name": "search",
    "parameters": [
        {"type": "float", "name": "x", "low": 0, "high": 1},
        {"type": "choice", "name": "k", "values": [1, 2]},
    ],
    "metrics": [{"name": "error"}],
    "objectives": [{"metric": "error", "goal": "minimize"}],
    "budget": 3,
}


def problems(changes: dict[str, Any], model: Any = ExperimentSpec) -> dict[str, Any]:
    document = {**VALID, **changes} if model is ExperimentSpec else changes
    with pytest.raises(DocumentInvalid) as caught:
        validate(model, document)
    return {problem.field: problem for problem in caught.value.errors}


def test_a_valid_document_becomes_the_model() -> None:
    assert validate(ExperimentSpec, VALID).budget.trials == 3


def test_the_tag_of_a_union_is_no_part_of_the_path() -> None:
    # A key named like the tag is still told from it.
    found = problems({"parameters": [{"type": "int", "name": "x", "low": 1, "high": 3, "int": 2}]})
    assert list(found) == ["parameters[0].int"]
    assert found["parameters[0].int"].message == "is not a known field"


def test_a_value_that_fits_no_member_of_a_union_is_said_once() -> None:
    found = problems({"parameters": [{"type": "choice", "name": "k", "values": [1, 2, {}]}]})
    assert found["parameters[0].values[2]"].message == (
        "must be true or false or a whole number or a number or text"
    )


def test_a_missing_tag() -> None:
    found = problems({"parameters": [{"name": "x", "low": 0, "high": 1}]})
    assert found["parameters[0]"].message == "lacks 'type'"


def test_a_condition_two_levels_down() -> None:
    when = {"paramter": "k", "values": [1]}
    parameters = [
        VALID["parameters"][1],
        {"type": "float", "name": "y", "low": 0, "high": 1, "when": when},
    ]
    found = problems({"parameters": parameters})
    assert found["parameters[1].when.paramter"].remedy == "Did you mean 'parameter'?"
    assert found["parameters[1].when.parameter"].message == "is missing"


def test_choices_are_named() -> None:
    found = problems({"objectives": [{"metric": "error", "goal": "minimise"}]})
    assert found["objectives[0].goal"].remedy == "Did you mean 'minimize'?"


def test_our_own_validators_keep_their_remedy() -> None:
    found = problems({"outcome_constraints": ["error < 3"]})
    problem = found["outcome_constraints[0]"]
    assert problem.message == "cannot read 'error < 3'"
    assert problem.remedy == "Write 'metric <= number'."


def test_bounds_of_numbers_and_lengths() -> None:
    found = problems({"seed": -1, "objectives": [], "max_parallel": 0, "budget": 1.5})
    assert found["seed"].message == "must be at least 0"
    assert found["objectives"].message == "must have a length of at least 1"
    assert found["budget"].message


def test_names_are_explained() -> None:
    found = problems({"name": "9 lives"})
    assert found["name"].message == "is not a legal name"
    assert found["name"].value == "9 lives"


def test_keys_of_a_mapping() -> None:
    found = problems({"epoch": 1, "measurements": {"a b": 1, "c": {"men": 2}}}, CompleteRequest)
    assert found["measurements.a b"].message == "is not a legal name"
    assert found["measurements.c.men"].remedy == "Did you mean 'mean'?"
    assert found["measurements.c.mean"].message == "is missing"


@pytest.mark.parametrize("document", [None, [], "text", 3, {1: 2}, {"objectives": {"a": []}}])
def test_a_document_of_another_shape(document: Any) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        validate(ExperimentSpec, document)
    assert caught.value.errors


def test_did_you_mean() -> None:
    assert did_you_mean("latncy", ["latency", "error"]) == "Did you mean 'latency'?"
    assert did_you_mean("zzz", ["latency", "error"]) == "Known are latency, error."
    assert did_you_mean("zzz", []) is None
