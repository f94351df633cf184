"""Events over HTTP: pages, and the live stream that resumes."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    # The test client gives a stream's body out once it has ended.
    return settings.model_copy(update={"stream_time_limit_s": 1.5})


def stream(api: TestClient, last_id: int | None = None, **query: Any) -> list[str]:
    headers = {"Accept": "text/event-stream"}
    if last_id is not None:
        headers["Last-Event-ID"] = str(last_id)
    answer = api.get("/v1/events", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.text.split("\n\n")


def events_of(parts: list[str]) -> Iterator[dict[str, Any]]:
    for part in parts:
        lines = dict(line.split(": ", 1) for line in part.splitlines() if not line.startswith(":"))
        if "data" in lines:
            event = json.loads(lines["data"])
            assert lines["id"] == str(event["id"])
            assert lines["event"] == event["kind"]
            yield event


def test_pages(api: TestClient, experiment: dict[str, Any], external: dict[str, Any]) -> None:
    api.post("/v1/experiments/toy-search/pause").raise_for_status()
    page = api.get("/v1/events").json()
    ids = [event["id"] for event in page["items"]]
    assert ids == sorted(ids)
    assert page["next_cursor"] == str(ids[-1])
    assert api.get("/v1/events", params={"after": ids[-1]}).json()["items"] == []
    only = api.get("/v1/events", params={"experiment": "own-loop"}).json()["items"]
    assert {event["experiment_id"] for event in only} == {external["id"]}
    assert api.get("/v1/events", params={"experiment": "none"}).status_code == 404


def test_a_stream_gives_what_happens_and_keeps_alive(
    api: TestClient, experiment: dict[str, Any]
) -> None:
    timer = threading.Timer(0.4, api.post, ("/v1/experiments/toy-search/pause",))
    timer.start()
    parts = stream(api)
    timer.join()
    assert [event["kind"] for event in events_of(parts)] == ["experiment_paused"]
    assert ": alive" in parts
    assert parts[0] == "retry: 2000"


def test_a_stream_resumes_without_a_gap(api: TestClient, experiment: dict[str, Any]) -> None:
    for word in ("pause", "resume", "pause"):
        api.post(f"/v1/experiments/toy-search/{word}").raise_for_status()
    known = api.get("/v1/events").json()["items"]
    found = list(events_of(stream(api, last_id=known[0]["id"], experiment="toy-search")))
    assert found == known[1:]


@pytest.mark.parametrize("last_id", ["x", "-1", "9" * 29, "²"])
def test_a_last_id_that_is_none(api: TestClient, last_id: str) -> None:
    headers = {b"Accept": b"text/event-stream", b"Last-Event-ID": last_id.encode()}
    answer = api.get("/v1/events", headers=headers)
    assert answer.status_code == 422
    assert "Last-Event-ID" in answer.json()["errors"][0]["field"]


def test_streams_are_bounded(app: FastAPI, api: TestClient) -> None:
    app.state.streams._limit = 0
    answer = api.get("/v1/events", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 503
