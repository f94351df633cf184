"""Probes and metrics."""

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from service.api.app import create_app
from service.settings import Settings
from service.storage.database import Database


def metrics(api: TestClient) -> dict[str, float]:
    lines = api.get("/metrics").text.splitlines()
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if not line.startswith("#")
    }


def test_probes(api: TestClient) -> None:
    assert api.get("/healthz").text == "alive\n"
    assert api.get("/readyz").text == "ready\n"


def test_not_ready_without_tables(settings: Settings, registry: Any) -> None:
    database = Database(f"sqlite:///{settings.data_folder / 'empty.db'}")
    client = TestClient(create_app(settings, database, registry))  # no lifespan: no reaper
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    database.dispose()


def test_metrics_count_requests_by_route_and_the_fleet(
    api: TestClient,
    app: Any,
    experiment: dict[str, Any],
    worker_id: str,
    suggest: Callable[..., int],
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr("service.api.fleet_metrics._KEEP_S", 0.0)
    suggest(experiment["id"], {"x": 0.5, "layers": 2}, {"x": 0.6, "layers": 2})
    claimed = api.post("/v1/leases", json={"worker_id": worker_id}).json()
    api.get("/v1/experiments/toy-search")
    api.get("/v1/experiments/other")
    found = metrics(api)
    route = 'method="GET",route="/v1/experiments/{experiment_id}"'
    assert found[f'archfront_http_requests_total{{{route},status="200"}}'] == 1
    assert found[f'archfront_http_requests_total{{{route},status="404"}}'] == 1
    assert found[f"archfront_http_request_seconds_count{{{route}}}"] == 2
    assert found['archfront_trials{status="running"}'] == 1
    assert found['archfront_trials{status="candidate"}'] == 1
    assert found["archfront_candidates"] == 1
    assert found["archfront_open_leases"] == 1
    assert found["archfront_workers_online"] == 1
    assert found["archfront_oldest_ready_stage_seconds"] == 0
    assert found['archfront_experiments{status="running"}'] == 1
    report = {"epoch": claimed["epoch"], "measurements": {"error": 0.5}}
    api.post(f"/v1/leases/{claimed['lease_id']}/complete", json=report).raise_for_status()
    assert metrics(api)["archfront_oldest_ready_stage_seconds"] > 0


def test_the_docs_page_needs_nothing_from_elsewhere(api: TestClient) -> None:
    page = api.get("/docs").text
    assert "create_experiment" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
