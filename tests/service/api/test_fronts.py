"""The front over HTTP, in every form."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.api.test_trials import attach

PATH = "/v1/experiments/own-loop"


@pytest.fixture
def front(api: TestClient, external: dict[str, Any]) -> None:
    attach(api, 0.1, 0.9, 5.0)
    attach(api, 0.2, 0.5, 10.0)
    attach(api, 0.3, 0.2, 40.0)
    attach(api, 0.4, 0.6, 60.0)


def test_json(api: TestClient, front: None) -> None:
    found = api.get(f"{PATH}/pareto").json()
    assert sorted(point["trial_number"] for point in found["front"]) == [0, 1, 2]
    assert [point["trial_number"] for point in found["others"]] == [3]
    # (1 - 0.9) x (100 - 5) and the two steps above it
    assert found["hypervolume"] == pytest.approx(0.1 * 95 + 0.4 * 90 + 0.3 * 60)
    assert api.get(f"{PATH}/pareto", params={"max_others": 0}).json()["others"] == []
    trace = api.get(f"{PATH}/hypervolume").json()["points"]
    assert [point["completed"] for point in trace] == [1, 2, 3, 4]
    assert trace[-1]["hypervolume"] == pytest.approx(found["hypervolume"])


@pytest.mark.parametrize("filled", [True, False])
def test_page_and_pictures(api: TestClient, request: Any, filled: bool) -> None:
    request.getfixturevalue("front" if filled else "external")
    page = api.get(f"{PATH}/pareto.html")
    assert page.headers["content-type"].startswith("text/html")
    assert "own-loop" in page.text
    assert "script-src 'sha256-" in page.text
    assert "frame-ancestors" in page.headers["content-security-policy"]
    svg = api.get(f"{PATH}/pareto.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in svg.content
    png = api.get(f"{PATH}/pareto.png")
    assert png.content.startswith(b"\x89PNG")
    for answer in (page, svg, png):
        again = api.get(answer.request.url, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


def test_pick(api: TestClient, front: None) -> None:
    picked = api.get(f"{PATH}/pick", params={"latency_ms": 20}).json()
    assert picked["best"]["point"]["trial_number"] == 1
    assert api.get(f"{PATH}/pick").json()["best"] is not None
    none = api.get(f"{PATH}/pick", params={"latency_ms": 1}).json()
    assert none["best"] is None
    assert none["nearest_misses"]


@pytest.mark.parametrize(
    "query", ["latncy_ms=20", "latency_ms=fast", "latency_ms=nan", "latency_ms=1&latency_ms=2"]
)
def test_a_pick_that_makes_no_sense(api: TestClient, front: None, query: str) -> None:
    answer = api.get(f"{PATH}/pick?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"]
