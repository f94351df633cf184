"""Which strategy `auto` takes for how many objectives, trials and seconds, and what it says."""

import pytest

from service.optimizer.auto import AutoOptimizer, needs_model, usual_limit_s
from service.optimizer.optimizer import Suggestion, SuggestRequest
from tests.service.optimizer.tricky_spaces import SPACES, measure, objectives, request_after


def request_of(objective_count: int, trials: int, **more: object) -> SuggestRequest:
    return request_after(
        SPACES["mixed"],
        trials,
        objectives=objectives(objective_count),
        measuring=lambda arm: measure(arm, objective_count),
        strategy="auto",
        **more,
    )


def chosen(monkeypatch: pytest.MonkeyPatch, request: SuggestRequest) -> tuple[str, str]:
    """The strategy and its reason; none is really asked."""
    asked = []

    class Stub:
        def suggest(self, given: SuggestRequest) -> list[Suggestion]:
            return [Suggestion(arm=given.observations[0].arm, source="stub")]

    def find(name: str) -> Stub:
        asked.append(name)
        return Stub()

    monkeypatch.setattr("service.optimizer.auto.find_optimizer", find)
    (suggestion,) = AutoOptimizer().suggest(request)
    return asked[0], suggestion.note["why"]


@pytest.mark.parametrize("objective_count", [1, 2, 3])
def test_up_to_three_objectives_the_exact_improvement_is_always_in_time(
    monkeypatch: pytest.MonkeyPatch, objective_count: int
) -> None:
    request = request_of(objective_count, 400, time_limit_s=5, stage_costs_s={"train": 0.5})
    strategy, why = chosen(monkeypatch, request)
    assert strategy == "gp"
    assert "takes seconds with 13 parameters and 400 trials" in why


@pytest.mark.parametrize(("objective_count", "expected"), [(4, "ax"), (5, "parego"), (8, "parego")])
def test_beyond_three_ax_is_asked_while_there_is_time(
    monkeypatch: pytest.MonkeyPatch, objective_count: int, expected: str
) -> None:
    for more in ({}, {"time_limit_s": 300, "stage_costs_s": {"train": 60.0, "measure": 5.0}}):
        strategy, why = chosen(monkeypatch, request_of(objective_count, 60, **more))
        assert strategy == expected
        assert f"{objective_count} objectives, about 6 s at 60 trials" in why


@pytest.mark.parametrize(
    ("trials", "more", "reason"),
    [
        (301, {}, "Ax would not see all of the 301 trials, but 300"),
        (60, {"time_limit_s": 5}, "about 6 s for this answer, which may take 5 s"),
        (60, {"time_limit_s": 20, "count": 4}, "about 24 s for this answer, which may take 20 s"),
        (
            60,
            {"stage_costs_s": {"train": 2.0, "measure": 0.5}},
            "about 6 s per arm, a whole trial takes 2.5 s",
        ),
    ],
)
def test_without_the_time_for_ax_arms_are_bred(
    monkeypatch: pytest.MonkeyPatch, trials: int, more: dict[str, object], reason: str
) -> None:
    request = request_of(5, trials, **more)
    assert not needs_model(request)
    strategy, why = chosen(monkeypatch, request)
    assert strategy == "nsga2"
    assert "needs no model for 5 objectives" in why
    assert reason in why


def test_bred_arms_say_why_they_are() -> None:
    request = request_of(4, 30, time_limit_s=1, count=2)
    for suggestion in AutoOptimizer().suggest(request):
        assert suggestion.source == "nsga2"
        assert "Strategy nsga2" in suggestion.note["why"]


def test_a_model_is_needed_where_one_is_chosen() -> None:
    assert needs_model(request_of(2, 10))
    assert needs_model(request_of(4, 10))
    assert not needs_model(request_of(2, 10, initial_trials=11))
    assert not needs_model(request_of(2, 1))


@pytest.mark.parametrize(
    ("strategy", "objective_count", "expected"),
    [
        ("auto", 3, 60),
        ("auto", 4, 300),
        ("gp", 2, 60),
        ("nsga2", 5, 60),
        ("ax", 1, 300),
        ("parego", 5, 300),
        ("saasbo", 2, 300),
    ],
)
def test_a_hang_is_ended_the_sooner_the_quicker_the_strategy(
    strategy, objective_count, expected
) -> None:
    assert usual_limit_s(strategy, objective_count) == expected
