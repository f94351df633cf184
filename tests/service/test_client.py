"""The client against the real app: typed answers, the server's errors, safe repetition."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service import client as client_module
from service import exchange, local_server
from service.client import AnswerNotUnderstood, Client, ServerUnreachable, read_spec
from service.domain.errors import (
    ArtifactNotFound,
    ExperimentNotFound,
    LeaseLost,
    NameTaken,
    NoCandidateReady,
    Unauthenticated,
    Unavailable,
)
from service.domain.experiment import ExperimentStatus
from service.local_server import LocalServer
from service.schemas.documents import DocumentInvalid
from service.schemas.leases import (
    CompleteRequest,
    CurvePointReport,
    FailRequest,
    Heartbeat,
    InfeasibleRequest,
    LogChunk,
)
from service.schemas.workers import WorkerRegistration
from tests.service.offered_targets import offered
from tests.service.served_api import ALL_SCOPES, EXTERNAL_SPEC, MEASURED, WORKER_SPEC


class Through(httpx2.BaseTransport):
    """Carries requests to the app, losing answers and requests where the test says so."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.sent: list[httpx2.Request] = []
        self.lose_answers = 0
        self.answer_instead: list[int] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.sent.append(request)
        if self.answer_instead:
            return httpx2.Response(self.answer_instead.pop(0), request=request)
        answer = self.client.request(
            request.method, str(request.url), content=request.content, headers=request.headers
        )
        if self.lose_answers:
            self.lose_answers -= 1
            raise httpx2.ReadError("the answer was lost", request=request)
        headers = [(k, v) for k, v in answer.headers.items() if k != "content-encoding"]
        return httpx2.Response(answer.status_code, headers=headers, content=answer.content)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(exchange, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ARCHFRONT_URL", raising=False)
    monkeypatch.delenv("ARCHFRONT_TOKEN", raising=False)


@pytest.fixture
def through(app: FastAPI) -> Iterator[Through]:
    with TestClient(app) as client:
        yield Through(client)


@pytest.fixture
def client(through: Through, secret_with: Callable[..., str]) -> Iterator[Client]:
    with Client("http://testserver", secret_with(*ALL_SCOPES), transport=through) as client:
        yield client


def registration(name: str = "w") -> WorkerRegistration:
    return WorkerRegistration.model_validate(
        {
            "name": name,
            "device": "d",
            "slots": 2,
            "search_spaces": [{"name": "toy", "version": 1}],
            "targets": [offered()],
        }
    )


def test_an_own_loop_from_spec_to_pick(
    client: Client, suggest: Callable[..., int], tmp_path: Path
) -> None:
    file = tmp_path / "search.yaml"
    file.write_text(json.dumps(EXTERNAL_SPEC))  # JSON is YAML
    created = client.create_experiment(file)
    assert client.validate_experiment({**EXTERNAL_SPEC, "name": "b"}).parameter_count == 2
    with pytest.raises(NoCandidateReady):
        client.ask("own-loop", wait_s=0)
    suggest(created.id, {"x": 0.5, "kind": "plain"}, {"x": 0.6, "kind": "plain"})
    asked = client.ask("own-loop")
    client.tell("own-loop", asked, {"error": 0.3, "latency_ms": 12.0})
    client.tell("own-loop", client.ask("own-loop"), infeasible_reason="diverged")
    client.attach_trial("own-loop", {"x": 0.7, "kind": "plain"}, {"error": 0.2, "latency_ms": 30.0})
    assert [t.number for t in client.list_trials("own-loop", status=["completed"])] == [0, 2]
    assert [point.trial_number for point in client.front("own-loop").front] == [2, 0]
    assert client.pick("own-loop", latency_ms=20).best is not None
    assert client.hypervolume("own-loop").points
    assert "<html" in client.front_page("own-loop")
    assert client.front_picture("own-loop", "svg").startswith(b"<?xml")
    assert client.download_trials("own-loop").count("\r\n") == 4
    assert client.raise_budget("own-loop", 7).experiment.budget_trials == 7
    assert client.pause("own-loop").experiment.status is ExperimentStatus.PAUSED
    assert client.resume("own-loop").experiment.status is ExperimentStatus.RUNNING
    client.stop("own-loop")
    assert client.wait("own-loop").experiment.status is ExperimentStatus.STOPPED
    client.archive("own-loop")
    assert list(client.list_experiments()) == []
    assert len(list(client.list_experiments(include_archived=True))) == 1
    kinds = [event.kind for event in client.events(experiment="own-loop")]
    assert kinds[0] == "experiment_created"
    assert [space.name for space in client.list_search_spaces()] == ["toy"]
    assert client.read_search_space("toy").baseline.parameters["layers"] == 4


def test_a_worker_from_registration_to_reports(
    client: Client, suggest: Callable[..., int], tmp_path: Path
) -> None:
    created = client.create_experiment(WORKER_SPEC)
    suggest(created.id, {"x": 0.1, "layers": 2}, {"x": 0.2, "layers": 2})
    worker_id = client.register_worker(registration()).worker_id
    lease = client.claim(worker_id)
    assert lease is not None
    beat = Heartbeat(
        epoch=lease.epoch,
        curve=(CurvePointReport(step=1, metrics={"error": 0.9}),),
        log=LogChunk(offset=0, text="a\x00b"),
    )
    assert client.heartbeat(lease.lease_id, beat).command == "continue"
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights" * 100_000)
    sha256 = client.upload_artifact(weights)
    assert client.upload_artifact(weights.read_bytes()) == sha256
    client.complete(
        lease.lease_id,
        CompleteRequest.model_validate(
            {
                "epoch": lease.epoch,
                "measurements": {"error": 0.5},
                "artifacts": [{"name": "weights", "sha256": sha256}],
            }
        ),
    )
    measure = client.claim(worker_id)
    assert measure is not None
    [given] = measure.inputs
    client.download_artifact(given.sha256, tmp_path / "copy")
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == sha256
    report = CompleteRequest.model_validate({"epoch": measure.epoch, "measurements": MEASURED})
    assert client.complete(measure.lease_id, report).trial_status == "completed"
    suggest(created.id, {"x": 0.3, "layers": 2})
    second, third = client.claim(worker_id), client.claim(worker_id)
    assert second is not None
    assert third is not None
    client.fail(second.lease_id, FailRequest(epoch=1, fault="recipe", message="a bug"))
    client.infeasible(third.lease_id, InfeasibleRequest(epoch=1, reason="diverged"))
    assert client.claim(worker_id) is None
    assert client.set_worker_status(worker_id, "stopped").status == "stopped"
    assert client.read_trial_log("toy-search", 0, stage="train") == "a\ufffdb"
    assert [worker.name for worker in client.list_workers()] == ["w"]
    assert client.read_trial("toy-search", 0).artifacts


def test_tokens(client: Client) -> None:
    created = client.create_token("ci", ["read"])
    assert created.secret.startswith("archfront_")
    assert len(client.list_tokens()) == 2
    assert client.revoke_token(created.id).revoked_at is not None


def test_refusals_are_the_servers_own_errors(client: Client, through: Through) -> None:
    with pytest.raises(ExperimentNotFound):
        client.read_experiment("none")
    client.create_experiment(EXTERNAL_SPEC)
    with pytest.raises(NameTaken) as caught:
        client.create_experiment(EXTERNAL_SPEC)
    assert caught.value.field == "name"
    with pytest.raises(DocumentInvalid) as refused:
        client.create_experiment({**EXTERNAL_SPEC, "budgt": 3})
    assert refused.value.errors[0].remedy == "Did you mean 'budget'?"
    with pytest.raises(ArtifactNotFound):
        client.download_artifact("0" * 64, Path("never-written"))
    assert not Path("never-written").exists()
    anonymous = Client("http://testserver", "archfront_x_" + "y" * 43, transport=through)
    with pytest.raises(Unauthenticated):
        anonymous.list_tokens()


def test_a_lost_answer_has_one_effect(client: Client, through: Through) -> None:
    through.lose_answers = 2
    created = client.create_experiment(EXTERNAL_SPEC)
    assert len(through.sent) == 3
    assert len({request.headers["idempotency-key"] for request in through.sent}) == 1
    assert [one.id for one in client.list_experiments()] == [created.id]


def test_a_lost_claim_is_the_same_lease(
    client: Client, through: Through, suggest: Callable[..., int]
) -> None:
    created = client.create_experiment(WORKER_SPEC)
    suggest(created.id, {"x": 0.1, "layers": 2}, {"x": 0.2, "layers": 2})
    worker_id = client.register_worker(registration()).worker_id
    through.lose_answers = 1
    first = client.claim(worker_id, key="mine")
    assert client.claim(worker_id, key="mine") == first
    assert client.list_workers()[0].busy_slots == 1


def test_ask_polls_until_a_candidate_is_ready(
    client: Client, through: Through, suggest: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_LONGEST_POLL_S", 0.05)
    created = client.create_experiment(EXTERNAL_SPEC)
    before = len(through.sent)
    late = threading.Timer(0.5, suggest, (created.id, {"x": 0.5, "kind": "plain"}))
    late.start()
    assert client.ask("own-loop", wait_s=30).trial.number == 0
    late.join()
    assert len(through.sent) - before > 2


def test_an_overloaded_server_is_asked_again(client: Client, through: Through) -> None:
    through.answer_instead = [503, 429, 502]
    assert client.list_tokens()
    through.answer_instead = [503] * 6
    with pytest.raises(Unavailable):
        client.list_tokens()


def test_a_heartbeat_is_sent_once_and_without_a_key(client: Client, through: Through) -> None:
    through.lose_answers = 5
    with pytest.raises(ServerUnreachable):
        client.heartbeat("lease", Heartbeat(epoch=1))
    assert len(through.sent) == 1
    assert "idempotency-key" not in through.sent[0].headers


def test_a_stale_lease_is_lost(client: Client, suggest: Callable[..., int]) -> None:
    created = client.create_experiment(WORKER_SPEC)
    suggest(created.id, {"x": 0.1, "layers": 2})
    worker_id = client.register_worker(registration()).worker_id
    lease = client.claim(worker_id)
    assert lease is not None
    client.fail(lease.lease_id, FailRequest(epoch=lease.epoch, fault="machine", message="oom"))
    with pytest.raises(LeaseLost):
        client.heartbeat(lease.lease_id, Heartbeat(epoch=lease.epoch))


def test_an_answer_of_another_release(client: Client, through: Through) -> None:
    class Strange(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, json={"what": "is this"})

    with pytest.raises(AnswerNotUnderstood, match="same release"):
        Client("http://x", "t", transport=Strange()).read_experiment("e")


def test_nobody_listens() -> None:
    with pytest.raises(ServerUnreachable, match="archfront serve"):
        Client("http://127.0.0.1:9", "t", tries=2).list_tokens()


def test_a_server_on_this_machine_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exchange.find_server(None, None) == ("http://127.0.0.1:8731", None)
    file = tmp_path / "token"
    local_server.write_privately(file, "archfront_secret")
    assert file.stat().st_mode & 0o777 == 0o600
    server = LocalServer(url="http://127.0.0.1:9123", token_file=file)
    note = local_server.publish(server)
    assert note.stat().st_mode & 0o777 == 0o600
    assert exchange.find_server(None, None) == (server.url, "archfront_secret")
    assert exchange.find_server("http://localhost:9123/", None)[1] == "archfront_secret"
    # The token of a local server goes nowhere else.
    assert exchange.find_server("http://127.0.0.1:9124", None)[1] is None
    assert exchange.find_server("https://example.org:9123", None)[1] is None
    monkeypatch.setenv("ARCHFRONT_URL", "https://example.org")
    monkeypatch.setenv("ARCHFRONT_TOKEN", "from-environment")
    assert exchange.find_server(None, None) == ("https://example.org", "from-environment")
    local_server.withdraw(note, LocalServer(url="http://127.0.0.1:1", token_file=file))
    assert note.exists()
    local_server.withdraw(note, server)
    assert local_server.find() is None


def test_a_spec_is_read_as_the_server_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(EXTERNAL_SPEC))
    spec = read_spec(file)
    assert read_spec(spec) is spec
    assert read_spec(dict(EXTERNAL_SPEC)) == spec
    with pytest.raises(DocumentInvalid):
        read_spec({"name": "x"})
