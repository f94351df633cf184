"""An API over a real database, and clients that carry a token of each kind."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import FloatParameter, IntParameter
from search_spaces.registry import InstalledSpace, Registry
from search_spaces.space import Citation, SearchSpace
from service.api.app import create_app
from service.optimizer.optimizer import Suggestion
from service.schemas.tokens import Scope, TokenRequest
from service.settings import Settings
from service.storage.database import Database
from service.use_cases.tokens import create_token
from service.use_cases.top_up_candidates import add_candidates, suggestion_request
from tests.service.offered_targets import offered

TOY_SPACE = SearchSpace(
    name="toy",
    version=1,
    title="A toy",
    description="Two parameters.",
    citation=Citation(title="Toys", authors="A. Uthor", year=2020),
    space=ParameterSpace(
        parameters=(
            FloatParameter(name="x", low=0.0, high=1.0),
            IntParameter(name="layers", low=1, high=8),
        )
    ),
    metrics=(MetricDefinition(name="error", stage="train"),),
    baseline=Arm(parameters={"x": 0.5, "layers": 4}),
)
ALL_SCOPES: tuple[Scope, ...] = ("read", "write", "work", "admin")

WORKER_SPEC: dict[str, Any] = {
    "name": "toy-search",
    "search_space": "toy",
    "objectives": [
        {"metric": "error", "goal": "minimize", "threshold": 1.0},
        {"metric": "latency_ms", "goal": "minimize", "threshold": 100.0},
    ],
    "budget": 6,
    "optimizer": {"fallback_after_s": 3600},  # the test alone decides what is in the pool
}
EXTERNAL_SPEC: dict[str, Any] = {
    "name": "own-loop",
    "parameters": [
        {"type": "float", "name": "x", "low": 0.0, "high": 1.0},
        {"type": "choice", "name": "kind", "values": ["=cmd()", "plain"]},
    ],
    "metrics": [{"name": "error", "better": "lower"}, {"name": "latency_ms", "unit": "ms"}],
    "objectives": [
        {"metric": "error", "goal": "minimize", "threshold": 1.0},
        {"metric": "latency_ms", "goal": "minimize", "threshold": 100.0},
    ],
    "budget": 6,
    "optimizer": {"fallback_after_s": 3600},
}
MEASURED = {
    metric: {"mean": 2.0, "sem": 0.1}
    for metric in ("latency_ms", "latency_p50_ms", "file_size_bytes")
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_folder=tmp_path, change_poll_s=0.02, keep_alive_s=0.3, reap_s=0.2)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables of this release and no rows."""
    file = tmp_path_factory.mktemp("migrated") / "archfront.db"
    database = Database(f"sqlite:///{file}")
    database.upgrade()
    database.dispose()
    return file


@pytest.fixture
def api_database(settings: Settings, migrated_file: Path) -> Iterator[Database]:
    shutil.copy(migrated_file, settings.data_folder / "archfront.db")
    database = Database(settings.database)
    yield database
    database.dispose()


@pytest.fixture
def registry() -> Registry:
    return Registry([InstalledSpace(TOY_SPACE, lambda: pytest.fail("the API loads no recipe"))])


@pytest.fixture
def app(settings: Settings, api_database: Database, registry: Registry) -> FastAPI:
    return create_app(settings, api_database, registry)


@pytest.fixture
def secret_with(api_database: Database) -> Callable[..., str]:
    """Makes a token with the given scopes; gives its secret."""

    def make(*scopes: Scope) -> str:
        with api_database.write() as connection:
            return create_token(connection, TokenRequest(name="test", scopes=scopes)).secret

    return make


@pytest.fixture
def api(app: FastAPI, secret_with: Callable[..., str]) -> Iterator[TestClient]:
    """Carries a token with every scope."""
    headers = {"Authorization": f"Bearer {secret_with(*ALL_SCOPES)}"}
    with TestClient(app, headers=headers) as client:
        yield client


@pytest.fixture
def experiment(api: TestClient) -> dict[str, Any]:
    answer = api.post("/v1/experiments", json=WORKER_SPEC)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def external(api: TestClient) -> dict[str, Any]:
    answer = api.post("/v1/experiments", json=EXTERNAL_SPEC)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def worker_id(api: TestClient) -> str:
    registration = {
        "name": "tester",
        "device": "here",
        "slots": 4,
        "search_spaces": [{"name": "toy", "version": 1}],
        "targets": [offered()],
    }
    answer = api.post("/v1/workers", json=registration)
    assert answer.status_code == 201, answer.text
    return answer.json()["worker_id"]


@pytest.fixture
def suggest(api_database: Database) -> Callable[..., int]:
    """Puts arms into the pool of an experiment as a suggester would; gives how many."""

    def put(experiment_id: str, *arms: dict[str, Any]) -> int:
        with api_database.write() as connection:
            assert suggestion_request(connection, experiment_id) is not None
            suggestions = [
                Suggestion(arm=Arm(parameters=arm), source="sobol", note={}) for arm in arms
            ]
            return len(add_candidates(connection, experiment_id, suggestions))

    return put
