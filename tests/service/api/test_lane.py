"""Whoever takes long waits in a lane, and heartbeats pass by."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.lane import Lane
from service.settings import Settings
from service.storage.database import Database
from service.storage.experiments import lock_experiment

_MANY = 40
"""More than there are connections to the database."""


def test_so_many_run_at_once_in_the_order_in_which_they_came() -> None:
    lock, running, most, begun = threading.Lock(), 0, 0, list[int]()

    def deed(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            begun.append(number)
        time.sleep(0.02)
        with lock:
            running -= 1
        return number

    async def scene() -> list[int]:
        lane = Lane(3)
        return await asyncio.gather(*(lane.run(lambda n=n: deed(n)) for n in range(12)))

    assert asyncio.run(scene()) == list(range(12))
    assert most == 3
    assert all(abs(number - place) < 3 for place, number in enumerate(begun))


def test_what_a_deed_raises_is_raised() -> None:
    async def scene() -> None:
        lane = Lane(1)
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 / 0)
        assert await lane.run(lambda: 1) == 1

    asyncio.run(scene())


@pytest.fixture
def api_database(fresh_databases: Any) -> Iterator[Database]:
    """PostgreSQL: on SQLite all writes take turns."""
    database = Database(fresh_databases.postgresql_url())
    yield database
    database.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_folder=tmp_path, reap_s=3_600)


def test_heartbeats_are_answered_while_claims_and_reports_wait(
    api: TestClient,
    api_database: Database,
    experiment: dict[str, Any],
    worker_id: str,
    suggest: Callable[..., int],
) -> None:
    for layers in (1, 2):
        suggest(experiment["id"], {"x": 0.5, "layers": layers})
    lease = api.post("/v1/leases", json={"worker_id": worker_id}).json()
    path = f"/v1/leases/{lease['lease_id']}"

    def claim(_: int) -> Any:
        return api.post("/v1/leases", json={"worker_id": worker_id})

    def report(_: int) -> Any:
        failure = {"epoch": lease["epoch"], "fault": "preempted", "message": "gone"}
        return api.post(f"{path}/fail", json=failure)

    with ThreadPoolExecutor(2 * _MANY) as pool:
        with api_database.write() as busy:
            lock_experiment(busy, experiment["id"])
            waiting = [pool.submit(deed, n) for n in range(_MANY) for deed in (claim, report)]
            time.sleep(1.0)
            took_s = []
            for step in range(5):
                beat = {"epoch": lease["epoch"], "curve": [{"step": step, "metrics": {"loss": 1}}]}
                began = time.monotonic()
                renewed = api.post(f"{path}/heartbeat", json=beat)
                took_s.append(time.monotonic() - began)
                assert renewed.json()["command"] == "continue"
            assert not any(one.done() for one in waiting)
        answers = [one.result(60).status_code for one in waiting]
    assert max(took_s) < 10
    assert set(answers) <= {200, 201, 204}
