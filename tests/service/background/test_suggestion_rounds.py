"""Whose turn it is: rounds over made-up pools, with a model that answers when told."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from service.background.candidate_pool import CandidatePools
from service.background.insight_desk import InsightDesk
from service.background.model_process import Answer, ModelProcess, ModelProcessDied
from service.background.suggestion_rounds import LONGEST_REST_S, REST_S, SuggestionRounds
from service.domain.experiment import OptimizerSettings
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.use_cases.candidate_pool import PoolNeed
from tests.service.optimizer.tricky_spaces import SPACES, request_after

REQUEST = request_after(SPACES["mixed"], 6)


class Pools:
    """Pools in need, and a record of what was done for them."""

    def __init__(self) -> None:
        self.needs: list[PoolNeed] = []
        self.settings = OptimizerSettings(suggestion_limit_s=100)
        self.renewed: list[str] = []
        self.troubles: list[tuple[str, str]] = []
        self.fallen_back: list[tuple[str, int | None]] = []

    def need(self, experiment_id: str, *, short: bool, empty: bool = False) -> None:
        self.needs.append(PoolNeed(experiment_id, is_short=short, is_empty=empty))

    def in_need(self) -> list[PoolNeed]:
        return self.needs

    def request_of(self, experiment_id: str) -> SuggestRequest:
        return REQUEST

    def settings_of(self, experiment_id: str) -> OptimizerSettings:
        return self.settings

    def renew(self, experiment_id: str, _: SuggestRequest, __: Sequence[Suggestion]) -> bool:
        self.renewed.append(experiment_id)
        return True

    def note_trouble(self, experiment_id: str, reason: str) -> None:
        self.troubles.append((experiment_id, reason))

    def fall_back(self, experiment_id: str, reason: str, count: int | None = None) -> bool:
        self.fallen_back.append((experiment_id, count))
        return True


class Model:
    """A model process without a process."""

    def __init__(self) -> None:
        self.is_ready = True
        self.asked = 0
        self.answers: list[Answer | Exception] = []
        self.starting_s = 0.0
        self.killed_after_s: list[float] = []

    def start(self) -> None:
        return

    def ask(self, request: SuggestRequest) -> None:
        assert self.is_ready
        self.is_ready = False
        self.asked += 1

    def poll(self) -> Answer | None:
        if not self.answers:
            return None
        self.is_ready = True
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill_hung(self, after_s: float) -> str:
        self.killed_after_s.append(after_s)
        self.is_ready = True
        return f"killed after {after_s:g} s"


class Desk:
    is_asking = False

    def look_into_one(self, idle_s: float) -> bool:
        return False


class Bench:
    """Rounds over made-up parts, at a time that one sets."""

    def __init__(self) -> None:
        self.pools, self.model, self.now = Pools(), Model(), 0.0
        parts: tuple[Any, ...] = (self.pools, self.model, Desk())
        self.rounds = SuggestionRounds(
            cast(CandidatePools, parts[0]),
            cast(ModelProcess, parts[1]),
            cast(InsightDesk, parts[2]),
            clock=lambda: self.now,
        )

    def run(self, *answers: Answer | Exception) -> None:
        self.model.answers += answers
        self.rounds.run()

    def asked_about(self) -> str | None:
        question = self.rounds._question
        return None if question is None else question.experiment_id


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_short_pool_goes_before_those_out_of_date(bench: Bench) -> None:
    bench.pools.need("outdated", short=False)
    bench.pools.need("short", short=True)
    bench.run()
    assert bench.asked_about() == "short"


def test_experiments_take_turns(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.pools.need(name, short=False)
    turns = []
    for _ in range(7):
        bench.run(*([Answer()] if turns else []))
        turns.append(bench.asked_about())
        bench.now += 1
    assert turns == ["a", "b", "c", "a", "b", "c", "a"]
    assert bench.pools.renewed == turns[:-1]


def test_a_failure_is_named_filled_in_for_and_followed_by_a_rest(bench: Bench) -> None:
    bench.pools.need("bad", short=True, empty=True)
    bench.run()
    bench.now += 20
    bench.run(Answer(failed="The kernel matrix is singular."))
    assert bench.pools.troubles == [("bad", "The kernel matrix is singular.")]
    assert bench.pools.fallen_back == [("bad", None)]
    bench.now += 19  # it rests as long as the failure took
    bench.run()
    assert bench.model.asked == 1
    bench.now += 2
    bench.run()
    assert bench.model.asked == 2


def test_a_bad_experiment_keeps_no_other_from_the_model(bench: Bench) -> None:
    bench.pools.need("bad", short=True, empty=True)
    bench.pools.need("good", short=False)
    asked = {"bad": 0, "good": 0}
    for _ in range(200):
        bench.run()
        name = bench.asked_about()
        if name is not None:
            asked[name] += 1
            bench.now += 10
            bench.model.answers.append(Answer(failed="no") if name == "bad" else Answer())
        else:
            bench.now += 1
    assert asked["good"] > 10 * asked["bad"]
    assert asked["bad"] >= 4


def test_the_rest_grows_with_each_failure_up_to_a_limit_and_ends_with_success(
    bench: Bench,
) -> None:
    bench.pools.need("bad", short=True)
    rests = []
    for _ in range(9):
        bench.run()
        bench.run(ModelProcessDied("gone"))
        rests.append(bench.rounds._rests["bad"] - bench.now)
        bench.now += rests[-1] + 1
    assert rests == [min(LONGEST_REST_S, REST_S * 2**n) for n in range(9)]
    bench.run()
    bench.run(Answer())
    bench.run(ModelProcessDied("gone"))
    assert bench.rounds._rests["bad"] - bench.now == REST_S


def test_an_answer_that_takes_too_long_is_not_waited_for(bench: Bench) -> None:
    bench.pools.need("slow", short=True, empty=True)
    bench.run()
    bench.now += 99
    bench.run()
    assert bench.model.killed_after_s == []
    bench.now += 1
    bench.run()
    assert bench.model.killed_after_s == [100]
    assert bench.pools.troubles == [("slow", "killed after 100 s")]


@pytest.mark.parametrize(("fallback_after_s", "expected"), [(0.0, []), (30.0, [("late", 1)])])
def test_only_whoever_prefers_to_wait_gets_a_late_stand_in_here(
    bench: Bench, fallback_after_s: float, expected: list[tuple[str, int]]
) -> None:
    bench.pools.settings = OptimizerSettings(
        fallback_after_s=fallback_after_s, suggestion_limit_s=100
    )
    bench.pools.need("late", short=True, empty=True)
    bench.run()
    bench.now += 31
    bench.run()
    assert bench.pools.fallen_back == expected
