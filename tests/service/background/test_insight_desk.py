from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from service.background import insight_desk
from service.background.insight_desk import (
    IDLE_FIRST_S,
    INSIGHT_EVERY_S,
    INSIGHT_LIMIT_S,
    LOOK_EVERY_S,
    STARVED_AFTER_S,
    InsightDesk,
    Insights,
)
from service.background.model_process import Answer, ModelProcess, ModelProcessDied
from service.domain.insight import Insight
from service.optimizer.optimizer import SuggestRequest
from service.storage.insights import find_insight
from tests.service.background.test_model_process import wait_for
from tests.service.background.test_suggester import Laboratory
from tests.service.optimizer.tricky_spaces import SPACES, request_after

REQUEST = request_after(SPACES["mixed"], 3)
FOUND = Insight(observations=3, strategy="odd")


class MadeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class MadeModel:
    """An idle model whose next answer a test decides."""

    def __init__(self) -> None:
        self.is_ready = True
        self.starts = 0
        self.asked = 0
        self.next: Answer | ModelProcessDied | None = None

    def start(self) -> None:
        self.starts += 1

    def ask_insight(self, request: SuggestRequest) -> None:
        assert request == REQUEST
        self.asked += 1

    def poll(self) -> Answer | None:
        if isinstance(self.next, ModelProcessDied):
            raise self.next
        return self.next

    def kill_hung(self, after_s: float) -> str:
        return f"killed after {after_s:g} s"


class MadeInsights:
    """What is due, and what was kept."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, int]] = []
        self.kept: list[str] = []
        self.request: SuggestRequest | None = REQUEST
        self.looks = 0

    def due(self) -> list[tuple[str, int]]:
        self.looks += 1
        return self.waiting

    def request_of(self, experiment_id: str) -> SuggestRequest | None:
        return self.request

    def keep(self, experiment_id: str, insight: Insight) -> None:
        assert insight == FOUND
        self.kept.append(experiment_id)


class Scene:
    """A desk with everything around it made by hand."""

    def __init__(self) -> None:
        self.clock, self.model, self.insights = MadeClock(), MadeModel(), MadeInsights()
        self.desk = InsightDesk(
            cast(Insights, self.insights), cast(ModelProcess, self.model), self.clock
        )

    def answered(self, answer: Answer | ModelProcessDied, after_s: float = 1.0) -> None:
        self.clock.now += after_s
        self.model.next = answer
        self.desk.take_answer()
        self.model.next = None

    def asked_after(self, seconds: float, *, idle_s: float = 9.0) -> bool:
        """Whether the desk asks after so long, the model having been idle for `idle_s`."""
        self.clock.now += seconds
        before = self.model.asked
        self.desk.look_into_one(idle_s)
        return self.model.asked > before


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.insights.waiting = [("a", 3)]
    return made


def test_one_experiment_is_asked_about_at_a_time(scene: Scene) -> None:
    scene.insights.waiting = [("a", 3), ("b", 3)]
    assert scene.asked_after(0)
    assert scene.desk.is_asking
    assert not scene.asked_after(1)
    scene.answered(Answer(insight=FOUND))
    assert not scene.desk.is_asking
    assert scene.asked_after(0)
    scene.answered(Answer(insight=FOUND))
    assert scene.insights.kept == ["a", "b"]


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.1, INSIGHT_EVERY_S), (4.0, 40.0)])
def test_each_is_asked_about_no_more_often_than_it_costs(
    scene: Scene, took_s: float, pause_s: float
) -> None:
    assert scene.asked_after(0)
    scene.answered(Answer(insight=FOUND), took_s)
    scene.insights.waiting = [("a", 4)]
    assert not scene.asked_after(pause_s - 0.1)
    assert scene.asked_after(LOOK_EVERY_S)


def test_suggestions_go_first_until_an_insight_starves(scene: Scene) -> None:
    assert not scene.asked_after(0, idle_s=IDLE_FIRST_S - 0.1)
    for _ in range(29):
        assert not scene.asked_after(LOOK_EVERY_S, idle_s=0.0)
    assert scene.asked_after(LOOK_EVERY_S, idle_s=0.0)
    scene.answered(Answer(insight=FOUND))
    scene.insights.waiting = [("a", 4)]
    assert not scene.asked_after(STARVED_AFTER_S, idle_s=0.0)  # due only now, after its pause
    assert scene.asked_after(LOOK_EVERY_S, idle_s=IDLE_FIRST_S)


def test_a_failure_waits_for_more_results_and_ever_longer(scene: Scene) -> None:
    for failures, ended in enumerate(range(3, 7), start=1):
        scene.insights.waiting = [("a", ended)]
        assert scene.asked_after(3_600)
        scene.answered(Answer(failed="The kernel matrix is singular."))
        assert not scene.asked_after(3_600)  # nothing new to learn
        scene.clock.now -= 3_600
        scene.insights.waiting = [("a", ended + 1)]
        scene.desk._look_again_at = 0.0
        assert not scene.asked_after(INSIGHT_EVERY_S * 2.0**failures - 1)
    assert scene.insights.kept == []


def test_a_death_and_a_hang_are_failures(scene: Scene) -> None:
    assert scene.asked_after(0)
    scene.answered(ModelProcessDied("It ended with exit code 3."))
    assert not scene.desk.is_asking
    scene.insights.waiting = [("a", 4)]
    assert scene.asked_after(3_600)
    scene.clock.now += INSIGHT_LIMIT_S - 1
    scene.desk.take_answer()
    assert scene.desk.is_asking
    scene.clock.now += 2
    scene.desk.take_answer()
    assert not scene.desk.is_asking


def test_a_cold_model_is_started_where_there_is_something_to_ask(scene: Scene) -> None:
    scene.model.is_ready = False
    assert scene.desk.look_into_one(9.0)
    assert (scene.model.starts, scene.model.asked) == (1, 0)
    scene.insights.waiting = []
    scene.clock.now += LOOK_EVERY_S
    assert not scene.desk.look_into_one(9.0)
    assert scene.model.starts == 1


def test_the_database_is_not_asked_all_the_time(scene: Scene) -> None:
    scene.insights.waiting = []
    for _ in range(10):
        scene.desk.look_into_one(9.0)
    assert scene.insights.looks == 1
    scene.clock.now += LOOK_EVERY_S
    scene.desk.look_into_one(9.0)
    assert scene.insights.looks == 2


def test_too_little_to_learn_from_is_not_asked_about_again(scene: Scene) -> None:
    scene.insights.request = None
    assert not scene.asked_after(0)
    scene.insights.request = REQUEST
    assert not scene.asked_after(60)
    scene.insights.waiting = [("a", 4)]
    assert scene.asked_after(60)


@pytest.fixture
def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laboratory]:
    for name in ("INSIGHT_EVERY_S", "LOOK_EVERY_S", "IDLE_FIRST_S"):
        monkeypatch.setattr(insight_desk, name, 0.1)
    made = Laboratory(f"sqlite:///{tmp_path / 'test.db'}")
    yield made
    made.database.dispose()


def kept(laboratory: Laboratory, experiment_id: str) -> Insight | None:
    with laboratory.database.read() as connection:
        return find_insight(connection, experiment_id)


def knows(laboratory: Laboratory, experiment_id: str, observations: int) -> Any:
    def condition() -> bool:
        found = kept(laboratory, experiment_id)
        return found is not None and found.observations == observations

    return condition


def test_the_model_looks_again_whenever_results_come_in(laboratory: Laboratory) -> None:
    id_ = laboratory.create(budget=6)
    with laboratory.suggesting("none"):
        for ended in (2, 4, 6):
            laboratory.fill(id_)
            laboratory.tell_all(id_)
            wait_for(knows(laboratory, id_, ended))
    found = kept(laboratory, id_)
    assert found is not None
    numbers = sorted(number for one in found.forecasts for number in one.trial_numbers)
    assert numbers == list(range(6))
    assert laboratory.experiment(id_).status == "completed"


@pytest.mark.parametrize("mischief", ["insight_crash", "insight_hang", "insight_bug"])
def test_without_an_insight_the_search_goes_on(
    laboratory: Laboratory,
    mischief: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(insight_desk, "INSIGHT_LIMIT_S", 0.5)
    id_ = laboratory.create(budget=6)
    with laboratory.suggesting(mischief):
        for _ in range(3):
            laboratory.fill(id_)
            laboratory.tell_all(id_)
        wait_for(lambda: laboratory.experiment(id_).status == "completed")
        wait_for(lambda: f"No insight into experiment {id_}" in caplog.text)
    assert kept(laboratory, id_) is None
    assert len(laboratory.trials(id_)) == 6
