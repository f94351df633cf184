import pytest
from pydantic import ValidationError

from service.domain.experiment import (
    EXPERIMENT_TRANSITIONS,
    Budget,
    ExperimentSpec,
    ExperimentStatus,
    SearchSpaceReference,
    unknown_name_remedy,
)

SPEC = {
    "name": "commands",
    "search_space": "nlu_encoder@1",
    "objectives": [{"metric": "frame_error", "goal": "minimize"}],
    "budget": 24,
}


def spec_with(**changes):
    return ExperimentSpec.model_validate(SPEC | changes)


def test_the_short_forms_are_read():
    spec = spec_with()
    assert spec.search_space == SearchSpaceReference(name="nlu_encoder", version=1)
    assert spec.budget == Budget(trials=24)
    assert spec.max_parallel == 8


def test_it_survives_the_wire():
    spec = spec_with(
        parameters=[{"type": "fixed", "name": "layers", "value": 2}],
        parameter_constraints=["32*layers + width <= 384"],
        outcome_constraints=["file_size_bytes <= 4e6"],
    )
    assert ExperimentSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"search_space": None}, "name a search_space, or list parameters"),
        ({"search_space": "nlu_encoder@one"}, "'one' in 'nlu_encoder@one' is not a version"),
        ({"objectives": []}, "objectives"),
        ({"objectives": SPEC["objectives"] * 2}, "frame_error twice"),
        ({"metrics": [{"name": "loss"}, {"name": "loss"}]}, "metrics name loss twice"),
        ({"budget": 0}, "budget"),
        ({"budget": {"trials": 10**7}}, "budget"),
        ({"max_parallel": 0}, "max_parallel"),
        ({"name": "../escape"}, "name"),
        ({"name": "with space"}, "name"),
        ({"seed": -1}, "seed"),
        ({"descriptoin": "typo"}, "descriptoin"),
        ({"description": "nul \x00"}, "NUL"),
        ({"training": {"wall_clock_limit_s": float("inf")}}, "wall_clock_limit_s"),
        ({"outcome_constraints": ["size < 3"]}, "outcome_constraints"),
        ({"optimizer": {"strategy": "magic"}}, "strategy"),
    ],
)
def test_what_is_wrong_is_refused_by_name(changes, told):
    with pytest.raises(ValidationError, match=told):
        spec_with(**changes)


def test_at_most_eight_objectives():
    objectives = [{"metric": f"m{i}", "goal": "minimize"} for i in range(9)]
    assert len(spec_with(objectives=objectives[:8]).objectives) == 8
    with pytest.raises(ValidationError, match="objectives"):
        spec_with(objectives=objectives)


def test_a_spec_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        spec_with().seed = 3


def test_a_stopped_experiment_stays_stopped():
    assert not EXPERIMENT_TRANSITIONS[ExperimentStatus.STOPPED]
    assert set(EXPERIMENT_TRANSITIONS) == set(ExperimentStatus)


def test_unknown_names_get_the_nearest_or_the_list():
    assert unknown_name_remedy("latency", ["latency_ms", "accuracy"]) == (
        "Did you mean 'latency_ms'?"
    )
    assert unknown_name_remedy("zzz", ["latency_ms", "accuracy"]) == (
        "Known are latency_ms, accuracy."
    )
