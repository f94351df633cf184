"""The contract of `Optimizer`, which every strategy keeps over every kind of search space."""

import pytest

from search_spaces.arm import Arm
from service.domain.errors import SearchSpaceExhausted
from service.domain.measurement import Measurement
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Observation, Suggestion, SuggestRequest, find_optimizer
from tests.service.optimizer.tricky_spaces import (
    SPACES,
    int_,
    measure,
    objectives,
    request_after,
    space_of,
)

STRATEGIES = ("sobol", "random", "nsga2", "gp", "ax", "auto")
PURE_STRATEGIES = ("sobol", "random", "nsga2", "gp", "ax")
"""`auto` is the one, then the other: it need not repeat the long tests."""
SOURCES = {*PURE_STRATEGIES, "map_saas", "saasbo", "parego"}


def suggest(strategy: str, request: SuggestRequest) -> list[Suggestion]:
    return find_optimizer(strategy).suggest(request)


def check_contract(request: SuggestRequest, suggestions: list[Suggestion]) -> None:
    assert 1 <= len(suggestions) <= request.count
    known = {arm.signature for arm in request.known_arms}
    for suggestion in suggestions:
        assert request.space.problems_with(suggestion.arm.parameters) == {}
        assert suggestion.arm == request.space.canonical(suggestion.arm.parameters)
        assert suggestion.arm.signature not in known
        known.add(suggestion.arm.signature)
        assert suggestion.source in SOURCES


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("strategy", PURE_STRATEGIES)
def test_arms_are_legal_and_new(strategy: str, name: str) -> None:
    request = request_after(SPACES[name], 7, strategy=strategy, count=2)
    suggestions = suggest(strategy, request)
    check_contract(request, suggestions)
    assert len(suggestions) == 2
    assert {s.source for s in suggestions} == {strategy}


@pytest.mark.parametrize("name", ["mixed", "conditional", "linear", "needle", "bools"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_request_gives_the_same_arms(strategy: str, name: str) -> None:
    request = request_after(SPACES[name], 7, count=2, initial_trials=3)
    assert suggest(strategy, request) == suggest(strategy, request)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_history_the_arms_are_quasi_random(strategy: str) -> None:
    request = request_after(SPACES["mixed"], 0, strategy=strategy, count=5, initial_trials=5)
    suggestions = suggest(strategy, request)
    check_contract(request, suggestions)
    assert [s.source for s in suggestions] == [_before_the_model(strategy)] * 5


@pytest.mark.parametrize("strategy", PURE_STRATEGIES)
@pytest.mark.parametrize("goal", ["minimize", "maximize"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_one_to_four_objectives(strategy: str, goal: str, count: int) -> None:
    request = request_after(SPACES["mixed"], 8, objectives=objectives(count, goal))
    check_contract(request, suggest(strategy, request))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_another_seed_gives_other_arms(strategy: str) -> None:
    one, other = (request_after(SPACES["mixed"], 6, seed=seed) for seed in (1, 2))
    assert suggest(strategy, one)[0].arm != suggest(strategy, other)[0].arm


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pending_and_excluded_arms_are_not_proposed_again(strategy: str) -> None:
    request = request_after(SPACES["ints"], 6)
    for field in ("pending", "excluded", "pending"):
        arms = [suggestion.arm for suggestion in suggest(strategy, request)]
        request = request.model_copy(update={field: (*getattr(request, field), *arms)})
        check_contract(request, suggest(strategy, request))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_small_space_is_used_up_and_then_said_to_be(strategy: str) -> None:
    space = space_of(int_("a", 0, 2), {"type": "bool", "name": "b"})
    request = request_after(space, 4, count=50)
    rest = suggest(strategy, request)
    check_contract(request, rest)
    while len(request.known_arms) + len(rest) < 6:
        request = request.model_copy(update={"pending": (*request.pending, *(s.arm for s in rest))})
        rest = suggest(strategy, request)
        check_contract(request, rest)
    request = request.model_copy(update={"pending": (*request.pending, *(s.arm for s in rest))})
    with pytest.raises(SearchSpaceExhausted, match="6 known"):
        suggest(strategy, request)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_space_of_one_arm_is_exhausted_after_it(strategy: str) -> None:
    space = space_of({"type": "fixed", "name": "a", "value": 1})
    request = request_after(space, 0)
    arm = suggest(strategy, request)[0].arm
    assert arm == Arm(parameters={"a": 1})
    with pytest.raises(SearchSpaceExhausted):
        suggest(strategy, request.model_copy(update={"pending": (arm,)}))


SOME_SEMS_MISSING = [None, 0.01, None, 0.03]


@pytest.mark.parametrize("strategy", PURE_STRATEGIES)
@pytest.mark.parametrize("sem", ["none", "some", "zero", "one_metric"])
def test_unknown_partly_known_and_zero_noise(strategy: str, sem: str) -> None:
    numbers = iter(range(100))

    def measuring(arm: Arm) -> dict[str, Measurement]:
        number = next(numbers)
        found = measure(arm, 2, {"none": None, "zero": 0.0}.get(sem, 0.01))
        if sem == "some":
            found = measure(arm, 2, SOME_SEMS_MISSING[number % 4])
        if sem == "one_metric":
            found["m1"] = Measurement(mean=found["m1"].mean)
        return found

    request = request_after(SPACES["mixed"], 8, measuring=measuring)
    check_contract(request, suggest(strategy, request))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_partly_measured_and_infeasible_trials(strategy: str) -> None:
    request = request_after(SPACES["mixed"], 10)
    observations = list(request.observations)
    observations[1] = Observation(arm=observations[1].arm, status=TrialStatus.INFEASIBLE)
    observations[3] = observations[3].model_copy(
        update={
            "status": TrialStatus.INFEASIBLE,
            "measurements": {"m1": observations[3].measurements["m1"]},
        }
    )
    observations[5] = observations[5].model_copy(update={"status": TrialStatus.EARLY_STOPPED})
    observations[6] = observations[5]  # an arm tried twice
    request = request.model_copy(update={"observations": tuple(observations)})
    check_contract(request, suggest(strategy, request))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_but_failures_so_far(strategy: str) -> None:
    request = request_after(SPACES["mixed"], 3)
    bare = tuple(
        Observation(arm=o.arm, status=TrialStatus.INFEASIBLE) for o in request.observations
    )
    request = request.model_copy(update={"observations": bare})
    suggestions = suggest(strategy, request)
    check_contract(request, suggestions)
    assert suggestions[0].source == _before_the_model(strategy)


def _before_the_model(strategy: str) -> str:
    return "random" if strategy == "random" else "sobol"


GOALS: dict[str, tuple[tuple[Objective, ...], tuple[str, ...]]] = {
    "thresholds": (
        (
            Objective(metric="m0", goal="minimize", threshold=2.0),
            Objective(metric="m1", goal="maximize", threshold=-1.5),
        ),
        (),
    ),
    "one_threshold": (
        (
            Objective(metric="m0", goal="minimize"),
            Objective(metric="m1", goal="maximize", threshold=1e-7),
        ),
        (),
    ),
    "constraint_on_another_metric": (objectives(2), ("m2 <= 1.5", "m2 >= -3", "m3 >= -0.5")),
    "repeated_constraint": (objectives(1), ("m2 <= 1.5", "m2 <= 2.5")),
    "constraint_on_an_objective": (objectives(2), ("m0 <= 1e3", "m1 >= -1e-3")),
    "constraint_on_the_only_objective": (objectives(1), ("m0 <= 0.5",)),
    "unmeetable": (objectives(2), ("m2 <= -1e6",)),
    "unreachable_thresholds": (
        tuple(o.model_copy(update={"threshold": -1e6}) for o in objectives(2)),
        (),
    ),
}


@pytest.mark.parametrize("strategy", PURE_STRATEGIES)
@pytest.mark.parametrize("goal", GOALS)
def test_thresholds_and_outcome_constraints(strategy: str, goal: str) -> None:
    wanted, bounds = GOALS[goal]
    constraints = tuple(OutcomeConstraint.model_validate(bound) for bound in bounds)
    request = request_after(SPACES["mixed"], 9, objectives=wanted, outcome_constraints=constraints)
    check_contract(request, suggest(strategy, request))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_metric_that_never_changes(strategy: str) -> None:
    def measuring(arm: Arm) -> dict[str, Measurement]:
        return {"m0": Measurement(mean=1.0), "m1": Measurement(mean=1e9, sem=0.0)}

    request = request_after(SPACES["mixed"], 5, measuring=measuring)
    check_contract(request, suggest(strategy, request))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'magic'; known are auto, gp, map_saas"):
        find_optimizer("magic")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["map_saas", "saasbo", "parego"])
def test_the_published_methods_keep_the_contract(strategy: str) -> None:
    request = request_after(SPACES["conditional"], 6, strategy=strategy)
    suggestions = suggest(strategy, request)
    check_contract(request, suggestions)
    assert suggestions[0].source == strategy
    if strategy != "saasbo":  # its Markov chains take a quarter of a minute
        assert suggest(strategy, request) == suggestions


@pytest.mark.slow
@pytest.mark.parametrize("objective_count", [4, 5, 6])
def test_auto_takes_more_than_three_objectives(objective_count: int) -> None:
    def measuring(arm: Arm) -> dict[str, Measurement]:
        return measure(arm, objective_count)

    request = request_after(
        SPACES["mixed"], 8, objectives=objectives(objective_count), measuring=measuring
    )
    suggestions = suggest("auto", request)
    check_contract(request, suggestions)
    assert suggestions[0].source == ("ax" if objective_count == 4 else "parego")
    assert "Strategy" in suggestions[0].note["why"]
