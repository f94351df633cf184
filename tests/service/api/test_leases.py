"""Leases over HTTP: long poll, a lost reply, reports, and stale ones."""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from service.settings import Settings
from tests.service.served_api import MEASURED
from tests.workers.waiting import eventually

ARM = {"x": 0.25, "layers": 2}
Suggest = Callable[..., int]


def claim(api: TestClient, worker_id: str, wait_s: float = 0.0, key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return api.post("/v1/leases", json={"worker_id": worker_id, "wait_s": wait_s}, headers=headers)


def complete(api: TestClient, lease: dict[str, Any], measurements: dict[str, Any]) -> Any:
    report = {"epoch": lease["epoch"], "measurements": measurements}
    return api.post(f"/v1/leases/{lease['lease_id']}/complete", json=report)


def test_a_trial_goes_through_both_stages_to_the_front(
    api: TestClient, experiment: dict[str, Any], worker_id: str, suggest: Suggest
) -> None:
    assert suggest(experiment["id"], ARM) == 1
    train = claim(api, worker_id).json()
    assert (train["stage"], train["arm"]["parameters"]) == ("train", ARM)
    beat = {
        "epoch": train["epoch"],
        "curve": [{"step": 1, "metrics": {"error": 0.9}}],
        "log": {"offset": 0, "text": "hello\n"},
    }
    renewed = api.post(f"/v1/leases/{train['lease_id']}/heartbeat", json=beat)
    assert renewed.json()["command"] == "continue"
    assert complete(api, train, {"error": {"mean": 0.5, "sem": 0.01}}).status_code == 200
    measure = claim(api, worker_id).json()
    assert measure["stage"] == "measure"
    done = complete(api, measure, MEASURED).json()
    assert done["trial_status"] == "completed"

    detail = api.get("/v1/experiments/toy-search/trials/0").json()
    assert detail["curves"] == [{"step": 1, "metric": "error", "value": 0.9}]
    log = api.get("/v1/experiments/toy-search/trials/0/log", params={"stage": "train"})
    assert log.text == "hello\n"
    [point] = api.get("/v1/experiments/toy-search/pareto").json()["front"]
    assert point["trial_number"] == 0


def test_a_lost_reply_delivers_the_same_lease_again(
    api: TestClient, experiment: dict[str, Any], worker_id: str, suggest: Suggest
) -> None:
    suggest(experiment["id"], ARM, {"x": 0.5, "layers": 3})
    first = claim(api, worker_id, key="claim-1")
    again = claim(api, worker_id, key="claim-1")
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    other = claim(api, worker_id, key="claim-2").json()
    assert other["lease_id"] != first.json()["lease_id"]


def test_a_key_of_a_claim_that_found_nothing_may_be_used_again(
    api: TestClient, experiment: dict[str, Any], worker_id: str, suggest: Suggest
) -> None:
    assert claim(api, worker_id, key="claim-1").status_code == 204
    suggest(experiment["id"], ARM)
    first = claim(api, worker_id, key="claim-1")
    assert first.status_code == 201
    assert claim(api, worker_id, key="claim-1").content == first.content


def test_a_long_poll_wakes_when_a_candidate_appears(
    api: TestClient, experiment: dict[str, Any], worker_id: str, suggest: Suggest
) -> None:
    timer = threading.Timer(0.5, suggest, (experiment["id"], ARM))
    timer.start()
    started = time.monotonic()
    answer = claim(api, worker_id, wait_s=20)
    timer.join()
    assert answer.status_code == 201
    assert 0.4 < time.monotonic() - started < 10


def test_a_long_poll_ends_empty_in_time(api: TestClient, worker_id: str) -> None:
    started = time.monotonic()
    assert claim(api, worker_id, wait_s=0.6).status_code == 204
    assert 0.5 < time.monotonic() - started < 8


def test_a_long_poll_holds_no_connection(
    api: TestClient, experiment: dict[str, Any], worker_id: str
) -> None:
    """Sixty waiting claims, more than the pool has connections: others are answered meanwhile."""
    answers: list[int] = []

    def wait() -> None:
        answers.append(claim(api, worker_id, wait_s=3).status_code)

    threads = [threading.Thread(target=wait) for _ in range(60)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert api.get("/v1/experiments/toy-search").status_code == 200
    for thread in threads:
        thread.join()
    assert answers == [204] * 60


def test_waiting_is_bounded(app: Any, api: TestClient, worker_id: str) -> None:
    app.state.watch._limit = 0
    answer = claim(api, worker_id, wait_s=5)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_a_report_under_an_old_epoch_changes_nothing(
    api: TestClient, experiment: dict[str, Any], worker_id: str, suggest: Suggest
) -> None:
    suggest(experiment["id"], ARM)
    old = claim(api, worker_id).json()
    failed = {"epoch": old["epoch"], "fault": "machine", "message": "out of memory"}
    api.post(f"/v1/leases/{old['lease_id']}/fail", json=failed).raise_for_status()
    new = claim(api, worker_id).json()
    assert new["epoch"] > old["epoch"]
    before = api.get("/v1/experiments/toy-search/trials/0").json()
    late = complete(api, old, {"error": 0.1})
    assert late.status_code == 409
    assert late.json()["type"] == "urn:archfront:problem:lease-lost"
    beat = api.post(f"/v1/leases/{old['lease_id']}/heartbeat", json={"epoch": old["epoch"]})
    assert beat.status_code == 409
    assert api.get("/v1/experiments/toy-search/trials/0").json()["trial"] == before["trial"]
    assert complete(api, new, {"error": 0.2}).status_code == 200


def test_a_checkpoint_is_kept_for_the_next_lease_and_deleted_at_the_end(
    api: TestClient,
    experiment: dict[str, Any],
    worker_id: str,
    suggest: Callable[..., int],
    settings: Settings,
) -> None:
    suggest(experiment["id"], {"x": 0.5, "layers": 2})
    lease = claim(api, worker_id).json()
    state = bytes(range(256)) * 9_000  # beyond the limit of JSON bodies
    kept = {"step": 7, "sha256": hashlib.sha256(state).hexdigest(), "size_bytes": len(state)}

    def keep(content: bytes, **changes: Any) -> Any:
        query = {"epoch": lease["epoch"], "step": 7, "sha256": kept["sha256"]} | changes
        return api.put(f"/v1/leases/{lease['lease_id']}/checkpoint", params=query, content=content)

    other = keep(state[:-1])
    assert (other.status_code, other.json()["type"]) == (
        422,
        "urn:archfront:problem:digest-mismatch",
    )
    for _ in range(2):
        assert keep(state).json() == kept
    assert keep(state, epoch=2).status_code == 409
    assert keep(state, step=-1).status_code == 422

    preempted = {"epoch": lease["epoch"], "fault": "preempted", "message": "drained"}
    assert api.post(f"/v1/leases/{lease['lease_id']}/fail", json=preempted).status_code == 200
    assert keep(state, step=8).status_code == 409
    lease = claim(api, worker_id).json()
    assert lease["checkpoint"] == kept
    assert api.get(f"/v1/artifacts/{kept['sha256']}").content == state
    beat = {"epoch": lease["epoch"], "resumed_after_step": 7}
    assert api.post(f"/v1/leases/{lease['lease_id']}/heartbeat", json=beat).status_code == 200
    trial = api.get(f"/v1/experiments/{experiment['id']}/trials/0").json()
    assert [attempt["resumed_after_step"] for attempt in trial["attempts"]] == [None, 7]

    assert complete(api, lease, {"error": {"mean": 0.25}}).status_code == 200
    assert eventually(lambda: api.get(f"/v1/artifacts/{kept['sha256']}").status_code == 404)
    stored = [path for path in Path(settings.artifacts).rglob("*") if path.is_file()]
    assert stored == []


def test_an_infeasible_arm(
    api: TestClient, experiment: dict[str, Any], worker_id: str, suggest: Suggest
) -> None:
    suggest(experiment["id"], ARM)
    lease = claim(api, worker_id).json()
    report = {"epoch": lease["epoch"], "reason": "the loss diverged"}
    done = api.post(f"/v1/leases/{lease['lease_id']}/infeasible", json=report).json()
    assert done["trial_status"] == "infeasible"


def test_an_unknown_worker_and_an_unknown_lease(api: TestClient) -> None:
    assert claim(api, "worker_none").json()["type"].endswith("worker-not-found")
    beat = api.post("/v1/leases/lease_none/heartbeat", json={"epoch": 1})
    assert beat.json()["type"].endswith("lease-not-found")


def test_the_reaper_ends_a_silent_lease(
    api: TestClient,
    app: Any,
    experiment: dict[str, Any],
    worker_id: str,
    suggest: Suggest,
) -> None:
    app.state.settings = app.state.settings.model_copy(
        update={"lease_ttl_s": 0.3, "heartbeat_s": 0.1, "stop_margin_s": 0.1}
    )
    suggest(experiment["id"], ARM)
    lease = claim(api, worker_id).json()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        [attempt] = api.get("/v1/experiments/toy-search/trials/0").json()["attempts"]
        if attempt["outcome"]:
            break
        time.sleep(0.05)
    assert attempt["outcome"] == "lost"
    assert complete(api, lease, {"error": 0.1}).status_code == 409


def test_workers_are_listed_and_drain(api: TestClient, worker_id: str) -> None:
    [worker] = api.get("/v1/workers").json()["items"]
    assert (worker["id"], worker["status"]) == (worker_id, "online")
    change = api.post(f"/v1/workers/{worker_id}/status", json={"status": "draining"})
    assert change.json()["status"] == "draining"
    assert api.get(f"/v1/workers/{worker_id}").json()["status"] == "draining"
    assert api.get("/v1/workers/worker_none").status_code == 404
