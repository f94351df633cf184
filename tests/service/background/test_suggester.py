import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from search_spaces.registry import Registry
from service.background.suggester import keep_suggesting
from service.domain.errors import Unavailable
from service.domain.experiment import Experiment, ExperimentSpec, ExperimentStatus
from service.domain.measurement import Measurement
from service.domain.trial import Trial, TrialStatus
from service.schemas.trials import TellRequest
from service.storage.database import Database
from service.storage.events import Event, events_after
from service.storage.experiments import find_experiment
from service.storage.trials import find_trial, trials_of_experiment
from service.use_cases.create_experiment import create_experiment
from service.use_cases.read_experiment import read_experiment
from service.use_cases.tell_trial import tell_trial
from tests.service.background.test_model_process import ODD_WORKER, wait_for

PARAMETERS = [
    {"type": "float", "name": "x", "low": 0, "high": 1},
    {"type": "float", "name": "y", "low": 0, "high": 1},
]


class Laboratory:
    """A database with one experiment, and what its external loop sees of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        self.database.upgrade()

    def create(self, name: str = "search", *, budget: int = 20, **optimizer: Any) -> str:
        spec = {
            "name": name,
            "parameters": optimizer.pop("parameters", PARAMETERS),
            "metrics": [{"name": "error"}, {"name": "latency_ms"}],
            "objectives": [
                {"metric": "error", "goal": "minimize"},
                {"metric": "latency_ms", "goal": "minimize"},
            ],
            "optimizer": {"initial_trials": 2, "pool_size": 2, **optimizer},
            "budget": budget,
        }
        with self.database.write() as connection:
            accepted = ExperimentSpec.model_validate(spec)
            return create_experiment(connection, accepted, Registry([])).id

    def trials(self, experiment_id: str) -> list[Trial]:
        with self.database.read() as connection:
            return trials_of_experiment(connection, experiment_id)

    def experiment(self, experiment_id: str) -> Experiment:
        with self.database.read() as connection:
            return find_experiment(connection, experiment_id)

    def candidates(self, experiment_id: str) -> list[Trial]:
        return [t for t in self.trials(experiment_id) if t.status is TrialStatus.CANDIDATE]

    def events(self, kind: str) -> list[Event]:
        with self.database.read() as connection:
            return [e for e in events_after(connection, 0, limit=10_000) if e.kind == kind]

    def tell_all(self, experiment_id: str) -> None:
        """Completes every candidate, at one moment: no round sees some of the results only."""
        with self.database.write() as connection:
            for trial in trials_of_experiment(connection, experiment_id):
                if trial.status is TrialStatus.CANDIDATE:
                    _tell(connection, experiment_id, trial)

    def tell(self, experiment_id: str, trial: Trial) -> None:
        """Completes one, asked for or not."""
        with self.database.write() as connection:
            # Its arm may be another by now than when it was listed.
            _tell(connection, experiment_id, find_trial(connection, experiment_id, trial.number))

    @contextmanager
    def suggesting(self, mischief: str, suggesters: int = 1) -> Iterator[None]:
        """Suggesters at work, whose model process misbehaves as told."""
        stop = threading.Event()
        databases = [Database(self.url) for _ in range(suggesters)]
        command = (*ODD_WORKER, mischief)
        threads = [
            threading.Thread(
                target=keep_suggesting, args=(database, stop), kwargs={"model_command": command}
            )
            for database in databases
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
                assert not thread.is_alive()
            for database in databases:
                database.dispose()

    def fill(self, experiment_id: str, count: int = 2) -> None:
        """Waits until so many candidates are ready."""
        wait_for(lambda: len(self.candidates(experiment_id)) >= count)


def _tell(connection: Connection, experiment_id: str, trial: Trial) -> None:
    x, y = (float(trial.arm.parameters[name]) for name in ("x", "y"))
    found = {"error": Measurement(mean=x + y), "latency_ms": Measurement(mean=1 - x * y)}
    request = TellRequest(trial_number=trial.number, measurements=found)
    tell_trial(connection, experiment_id, request)


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    made = Laboratory(f"sqlite:///{tmp_path / 'test.db'}")
    yield made
    made.database.dispose()


def test_the_pool_is_kept_full_until_the_budget_is_spent(laboratory: Laboratory) -> None:
    id_ = laboratory.create(strategy="sobol", budget=7)
    with laboratory.suggesting("none"):
        while laboratory.experiment(id_).trials_created < 7:
            laboratory.fill(id_, 1)
            assert len(laboratory.candidates(id_)) <= 2
            laboratory.tell_all(id_)
        laboratory.tell_all(id_)
        wait_for(lambda: laboratory.experiment(id_).status is ExperimentStatus.COMPLETED)
    trials = laboratory.trials(id_)
    assert len(trials) == 7
    assert len({trial.arm.signature for trial in trials}) == 7
    assert {trial.source for trial in trials} == {"sobol"}


def test_the_model_takes_over_after_the_quasi_random_trials(laboratory: Laboratory) -> None:
    id_ = laboratory.create(strategy="auto")
    with laboratory.suggesting("none"):
        laboratory.fill(id_)
        laboratory.tell_all(id_)
        laboratory.fill(id_)
    assert [trial.source for trial in laboratory.trials(id_)] == ["sobol"] * 2 + ["model"] * 2
    assert laboratory.events("suggester_fallback") == []


def test_results_change_the_pool_in_place(laboratory: Laboratory) -> None:
    id_ = laboratory.create(strategy="auto", budget=6, pool_size=4, initial_trials=2)
    with laboratory.suggesting("fickle"):
        laboratory.fill(id_)
        for trial in laboratory.candidates(id_)[:2]:
            laboratory.tell(id_, trial)
        laboratory.fill(id_, 4)
        wait_for(lambda: {t.source for t in laboratory.candidates(id_)} == {"model"})
        before = {trial.number: trial.arm for trial in laboratory.candidates(id_)}
        first = min(before)
        laboratory.tell(id_, laboratory.trials(id_)[first])
        wait_for(lambda: len(laboratory.events("candidate_replaced")) >= 3)
        after = {trial.number: trial.arm for trial in laboratory.candidates(id_)}
    assert after.keys() == before.keys() - {first}
    assert all(after[number] != before[number] for number in after)
    assert laboratory.experiment(id_).trials_created == 6


@pytest.mark.parametrize(
    ("mischief", "reason"),
    [
        ("crash", "memory ran out"),
        ("fail", "singular"),
        ("bug", "unforeseen"),
        ("no_start", "exit code 3"),
        ("hang", "no answer after 0.5 s"),
    ],
)
def test_a_failing_model_is_filled_in_for(
    laboratory: Laboratory, mischief: str, reason: str
) -> None:
    id_ = laboratory.create(strategy="auto", fallback_after_s=0.5 if mischief == "hang" else 60)
    with laboratory.suggesting(mischief):
        for _ in range(3):
            laboratory.fill(id_, 1)
            laboratory.tell_all(id_)
        laboratory.fill(id_, 1)
    sources = [trial.source for trial in laboratory.trials(id_)]
    assert sources[:2] == ["sobol"] * 2
    assert set(sources[2:]) == {"fallback"}
    events = laboratory.events("suggester_fallback")
    assert [event.trial_number for event in events] == list(range(2, len(sources)))
    assert reason in events[0].data["why"]
    if mischief != "hang":  # late, which the experiment let it be, is no trouble yet
        with laboratory.database.read() as connection:
            explanation = read_experiment(connection, id_).explanation
        assert "Quasi-random arms stand in for the model's" in explanation
        assert reason in explanation


def test_a_hung_model_is_replaced(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.background.suggestion_rounds.REST_S", 0.2)
    id_ = laboratory.create(strategy="auto", budget=200, suggestion_limit_s=0.5)
    with laboratory.suggesting("hang"):
        laboratory.fill(id_)
        laboratory.tell_all(id_)
        wait_for(lambda: _model_children() != [])
        first = _model_children()
        while _model_children() in ([], first):
            laboratory.tell_all(id_)  # what filled in for it is used up, the model asked anew
            time.sleep(0.05)
    assert _model_children() == []
    assert "no answer within 0.5 s" in laboratory.events("suggestion_failed")[0].data["reason"]


def test_a_killed_model_is_replaced(laboratory: Laboratory) -> None:
    id_ = laboratory.create(strategy="auto")
    with laboratory.suggesting("slow"):
        laboratory.fill(id_)
        laboratory.tell_all(id_)
        wait_for(lambda: _model_children() != [])
        killed = _model_children()
        os.kill(killed[0], signal.SIGKILL)
        wait_for(lambda: _model_children() not in ([], killed))
        laboratory.fill(id_)
    assert "model" in {trial.source for trial in laboratory.trials(id_)}


def test_a_thinking_model_keeps_nobody_else_waiting(laboratory: Laboratory) -> None:
    slow = laboratory.create("slow", strategy="auto", fallback_after_s=1000)
    with laboratory.suggesting("hang"):
        laboratory.fill(slow)
        laboratory.tell_all(slow)
        wait_for(lambda: _model_children() != [])
        quick = laboratory.create("quick", strategy="sobol")
        laboratory.fill(quick)
        laboratory.tell_all(quick)
        laboratory.fill(quick)
    assert laboratory.candidates(slow) == []


@pytest.mark.parametrize("strategy", ["sobol", "auto"])
def test_two_suggesters_on_one_database_do_no_harm(laboratory: Laboratory, strategy: str) -> None:
    id_ = laboratory.create(strategy=strategy, budget=11, fallback_after_s=5)
    with laboratory.suggesting("none", suggesters=2):
        while laboratory.experiment(id_).status is ExperimentStatus.RUNNING:
            assert len(laboratory.candidates(id_)) <= 2
            laboratory.tell_all(id_)
            time.sleep(0.05)
    trials = laboratory.trials(id_)
    assert len(trials) == 11
    assert len({trial.arm.signature for trial in trials}) == 11


@pytest.mark.parametrize("strategy", ["sobol", "auto"])
def test_an_exhausted_space_ends_the_experiment(laboratory: Laboratory, strategy: str) -> None:
    tiny = [
        {"type": "int", "name": "x", "low": 0, "high": 1},
        {"type": "int", "name": "y", "low": 0, "high": 1},
    ]
    id_ = laboratory.create(strategy=strategy, parameters=tiny)
    with laboratory.suggesting("none"):
        while laboratory.experiment(id_).status is ExperimentStatus.RUNNING:
            laboratory.tell_all(id_)
            time.sleep(0.05)
    assert len(laboratory.trials(id_)) == 4
    assert len(laboratory.events("space_exhausted")) == 1


def _children_of(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(folder.name))
    return sorted(found)


def _model_children() -> list[int]:
    return [
        pid
        for pid in _children_of(os.getpid())
        if b"odd_model_worker" in (Path("/proc") / str(pid) / "cmdline").read_bytes()
    ]


@contextmanager
def process(laboratory: Laboratory, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "service.background.suggester"]
    with subprocess.Popen([*command, "--database", laboratory.url, *arguments]) as suggester:
        try:
            yield suggester
        finally:
            suggester.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "begins", "goes_on"), [("auto", 4, "gp"), ("ax", 2, "ax")])
def test_the_process_asks_the_model_and_ends_cleanly(
    laboratory: Laboratory, strategy: str, begins: int, goes_on: str
) -> None:
    id_ = laboratory.create(strategy=strategy, initial_trials=4)
    with process(laboratory) as suggester:
        for _ in range(begins // 2):
            laboratory.fill(id_)
            laboratory.tell_all(id_)
        wait_for(lambda: len(laboratory.candidates(id_)) == 2, limit_s=120)
        children = _children_of(suggester.pid)
        assert len(children) == 1
        modules = Path(f"/proc/{suggester.pid}/maps").read_text()
        assert "libtorch" not in modules
        suggester.terminate()
        assert suggester.wait(10) == 0
    sources = [trial.source for trial in laboratory.trials(id_)]
    assert sources == ["sobol"] * begins + [goes_on] * 2
    assert laboratory.candidates(id_)[0].note["predicted"].keys() == {"error", "latency_ms"}
    wait_for(lambda: not Path(f"/proc/{children[0]}").exists(), limit_s=5)


def test_the_process_ends_with_its_parent(laboratory: Laboratory) -> None:
    with process(laboratory, "--parent-pid", "1") as suggester:
        assert suggester.wait(30) == 0


def test_the_process_needs_a_database() -> None:
    command = [sys.executable, "-m", "service.background.suggester"]
    clean = {k: v for k, v in os.environ.items() if k != "ARCHFRONT_DATABASE_URL"}
    ended = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "--database URL" in ended.stderr


def test_importing_it_brings_in_neither_torch_nor_ax() -> None:
    code = (
        "import sys, service.background.suggester; from service.optimizer.optimizer import "
        "find_optimizer; [find_optimizer(n) for n in ('sobol', 'auto', 'ax')]; "
        "print([m for m in ('torch', 'ax', 'botorch', 'gpytorch') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_database_may_be_away_for_a_while(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.background.suggester.DATABASE_RETRY_S", 0.1)
    calls: list[float] = []
    id_ = laboratory.create(strategy="sobol")
    read = Database.read

    def away(_: Database) -> Any:
        calls.append(time.monotonic())
        raise Unavailable("The database cannot be reached.")

    monkeypatch.setattr(Database, "read", away)
    with laboratory.suggesting("none"):
        wait_for(lambda: len(calls) >= 2)
        monkeypatch.setattr(Database, "read", read)
        laboratory.fill(id_)
