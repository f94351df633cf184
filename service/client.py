"""The one typed HTTP client: for scripts (SDK), for the command line and for workers.

    from service.client import Client

    client = Client()                                   # finds a server on this machine by itself
    experiment = client.create_experiment("search.yaml")
    client.wait(experiment.id)
    print(client.pick(experiment.id, latency_ms=20).explanation)

Refusals are raised as the classes of `service.domain.errors` that the server raised
(`LeaseLost`, `NameTaken`, ...); a server that cannot be reached as `ServerUnreachable`.
"""

import hashlib
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx2
from pydantic import BaseModel

from service.domain.errors import NoCandidateReady
from service.domain.experiment import Experiment, ExperimentSpec, ExperimentStatus
from service.domain.trial import Trial, TrialStatus
from service.exchange import (
    AnswerNotUnderstood,
    Exchange,
    ServerUnreachable,
    path_to,
    refusal,
    understood,
    understood_text,
)
from service.schemas.artifacts import ArtifactView
from service.schemas.documents import parse_json
from service.schemas.events import EventView
from service.schemas.experiments import ExperimentSummary, ExperimentValidation, ExperimentView
from service.schemas.fleet import DeviceView, FleetView
from service.schemas.fronts import Front, HypervolumeTrace, Pick
from service.schemas.leases import (
    CheckpointReference,
    ClaimRequest,
    CompleteRequest,
    FailRequest,
    Heartbeat,
    HeartbeatReply,
    InfeasibleRequest,
    LeaseGrant,
    ReportReply,
)
from service.schemas.pages import Page
from service.schemas.search_spaces import SearchSpaceDetail, SearchSpaceSummary
from service.schemas.tokens import Scope, TokenCreated, TokenRequest, TokenView
from service.schemas.trials import AskReply, AskRequest, AttachRequest, TellRequest, TrialDetail
from service.schemas.validation import validate
from service.schemas.workers import (
    WorkerEnrolled,
    WorkerEnrollment,
    WorkerPause,
    WorkerRegistered,
    WorkerRegistration,
    WorkerStatusChange,
    WorkerView,
)

__all__ = ["AnswerNotUnderstood", "Client", "ServerUnreachable"]

_CHUNK_BYTES = 1024 * 1024
_UPLOAD_TIMEOUT_S = 300.0
_LONGEST_POLL_S = 20.0

Spec = ExperimentSpec | Mapping[str, Any] | str | Path
"""A spec, a mapping, or the path of a YAML or JSON file."""


class Client:
    """One server, over HTTP.

    base_url, token: from the arguments, else ARCHFRONT_URL and ARCHFRONT_TOKEN, else from the
        note that `archfront serve` leaves for its user on the same machine.
    tries: how often a request is sent before giving up. Every POST carries an idempotency key,
        so that sending it again never has a second effect.
    transport: another way to reach the app; for tests.
    Thread-safe. Use it as a context manager, or `close()` it.
    """

    def __init__(
        self,
        base_url: str | None = None,
        token: str | None = None,
        *,
        tries: int = 6,
        timeout_s: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._exchange = Exchange(
            base_url, token, tries=tries, timeout_s=timeout_s, transport=transport
        )
        self._get = self._exchange.get
        self._post = self._exchange.post
        self._send = self._exchange.send
        self._pages = self._exchange.pages

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self._exchange.base_url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._exchange.http.close()

    def create_experiment(self, spec: Spec) -> Experiment:
        """Creates an experiment from a spec, a mapping, or the path of a YAML or JSON file."""
        return self._post("/v1/experiments", read_spec(spec), Experiment)

    def validate_experiment(self, spec: Spec) -> ExperimentValidation:
        """What the server would make of a spec; changes nothing."""
        return self._post("/v1/experiments/validate", read_spec(spec), ExperimentValidation)

    def list_experiments(
        self, status: ExperimentStatus | None = None, *, include_archived: bool = False
    ) -> Iterator[ExperimentSummary]:
        """All experiments, newest first."""
        query = {"status": status, "include_archived": include_archived or None}
        return self._pages("/v1/experiments", query, ExperimentSummary)

    def read_experiment(self, experiment: str) -> ExperimentView:
        """One experiment, by id or name."""
        return self._get(path_to("experiments", experiment), ExperimentView)

    def pause(self, experiment: str) -> ExperimentView:
        """No new trials start."""
        return self._post(path_to("experiments", experiment, "pause"), None, ExperimentView)

    def resume(self, experiment: str) -> ExperimentView:
        """A paused experiment runs on."""
        return self._post(path_to("experiments", experiment, "resume"), None, ExperimentView)

    def stop(self, experiment: str) -> ExperimentView:
        """Ends the experiment for good."""
        return self._post(path_to("experiments", experiment, "stop"), None, ExperimentView)

    def archive(self, experiment: str) -> ExperimentView:
        """Takes it out of the list."""
        return self._post(path_to("experiments", experiment, "archive"), None, ExperimentView)

    def unarchive(self, experiment: str) -> ExperimentView:
        """Brings it back to the list."""
        return self._post(path_to("experiments", experiment, "unarchive"), None, ExperimentView)

    def raise_budget(self, experiment: str, trials: int) -> ExperimentView:
        """Sets the total number of trials."""
        body = {"trials": trials}
        return self._post(path_to("experiments", experiment, "budget"), body, ExperimentView)

    def wait(
        self, experiment: str, *, poll_s: float = 2.0, timeout_s: float | None = None
    ) -> ExperimentView:
        """Waits until the experiment is completed or stopped. Raises: TimeoutError."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            view = self.read_experiment(experiment)
            if view.experiment.status in (ExperimentStatus.COMPLETED, ExperimentStatus.STOPPED):
                return view
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"{experiment!r} has not ended: {view.explanation}")
            time.sleep(poll_s)

    def list_trials(
        self,
        experiment: str,
        *,
        status: Sequence[TrialStatus | str] = (),
        source: str | None = None,
        sort: str = "number",
        where: Sequence[str] = (),
    ) -> Iterator[Trial]:
        """All trials that match; `where` holds bounds such as `latency_ms <= 5`."""
        query = {
            "status": [str(one) for one in status],
            "source": source,
            "sort": sort,
            "where": list(where),
        }
        return self._pages(path_to("experiments", experiment, "trials"), query, Trial)

    def read_trial(self, experiment: str, number: int) -> TrialDetail:
        """One trial with its attempts, curves and artifacts."""
        return self._get(path_to("experiments", experiment, "trials", number), TrialDetail)

    def read_trial_log(
        self, experiment: str, number: int, *, stage: str | None = None, offset: int = 0
    ) -> str:
        """The log of the newest attempt, from character `offset` on."""
        path = path_to("experiments", experiment, "trials", number, "log")
        query = {"stage": stage, "offset": offset}
        return self._send("GET", path, query=query).text

    def download_trials(self, experiment: str) -> str:
        """All trials as CSV."""
        return self._send("GET", path_to("experiments", experiment, "trials.csv")).text

    def attach_trial(
        self,
        experiment: str,
        parameters: Mapping[str, Any],
        measurements: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Adds an arm chosen by hand; without measurements it is run next."""
        body = AttachRequest.model_validate(
            {"parameters": parameters, "measurements": measurements or {}}
        )
        return self._post(path_to("experiments", experiment, "trials"), body, Trial)

    def stop_trial(self, experiment: str, number: int, reason: str = "stopped by hand") -> Trial:
        """Cancels a candidate, or tells a running trial to stop early."""
        path = path_to("experiments", experiment, "trials", number, "stop")
        return self._post(path, {"reason": reason}, Trial)

    def requeue_trial(self, experiment: str, number: int) -> Trial:
        """Gives a failed or cancelled trial another chance."""
        path = path_to("experiments", experiment, "trials", number, "requeue")
        return self._post(path, None, Trial)

    def ask(
        self, experiment: str, *, wait_s: float = 300.0, lease_seconds: float = 86_400.0
    ) -> AskReply:
        """The next arm to evaluate by a loop of one's own, as soon as one is ready.

        Raises: NoCandidateReady after `wait_s`; BudgetExhausted.
        """
        path = path_to("experiments", experiment, "ask")
        end_s = time.monotonic() + wait_s
        while True:
            poll_s = max(0.0, min(_LONGEST_POLL_S, end_s - time.monotonic()))
            body = AskRequest(wait_s=poll_s, lease_seconds=lease_seconds)
            try:
                return self._post(path, body, AskReply, wait_s=poll_s)
            except NoCandidateReady:
                if time.monotonic() >= end_s:
                    raise

    def tell(
        self,
        experiment: str,
        asked: AskReply | int,
        measurements: Mapping[str, Any] | None = None,
        *,
        infeasible_reason: str | None = None,
    ) -> Trial:
        """The outcome of an asked trial: measurements, or why the arm is infeasible."""
        number, epoch = (
            (asked.trial.number, asked.epoch) if isinstance(asked, AskReply) else (asked, None)
        )
        body = TellRequest.model_validate(
            {
                "trial_number": number,
                "epoch": epoch,
                "measurements": measurements or {},
                "infeasible_reason": infeasible_reason,
            }
        )
        return self._post(path_to("experiments", experiment, "tell"), body, Trial)

    def front(self, experiment: str) -> Front:
        """The feasible non-dominated trials, and the others behind them."""
        return self._get(path_to("experiments", experiment, "pareto"), Front)

    def front_page(self, experiment: str) -> str:
        """The front as one self-contained HTML page."""
        return self._send("GET", path_to("experiments", experiment, "pareto.html")).text

    def front_picture(self, experiment: str, kind: Literal["png", "svg"] = "png") -> bytes:
        """The front as a `png` or `svg`."""
        return self._send("GET", path_to("experiments", experiment, f"pareto.{kind}")).content

    def hypervolume(self, experiment: str) -> HypervolumeTrace:
        """How the hypervolume grew."""
        return self._get(path_to("experiments", experiment, "hypervolume"), HypervolumeTrace)

    def pick(self, experiment: str, **budgets: float) -> Pick:
        """The best trial within budgets such as `latency_ms=20`."""
        return self._get(path_to("experiments", experiment, "pick"), Pick, budgets)

    def register_worker(self, registration: WorkerRegistration) -> WorkerRegistered:
        """Registers a worker or its new session."""
        return self._post("/v1/workers", registration, WorkerRegistered)

    def enroll_worker(self, worker: str, session: str, host: str = "") -> WorkerEnrolled:
        """Trades this client's one-use token for the worker's own.

        session: kept by the caller; with the same one a lost answer is given again.
        Raises: TokenSpent.
        """
        body = WorkerEnrollment(worker=worker, session=session, host=host)
        return self._post(path_to("workers", "enroll"), body, WorkerEnrolled)

    def set_worker_status(
        self, worker_id: str, status: Literal["online", "draining", "stopped"]
    ) -> WorkerView:
        """Says that the worker is online, drains or has stopped."""
        body = WorkerStatusChange.model_validate({"status": status})
        return self._post(path_to("workers", worker_id, "status"), body, WorkerView)

    def list_workers(self) -> list[WorkerView]:
        """The fleet."""
        return list(self._pages("/v1/workers", {}, WorkerView))

    def read_worker(self, worker_id: str) -> WorkerView:
        """One worker."""
        return self._get(path_to("workers", worker_id), WorkerView)

    def pause_worker(self, worker: str, note: str = "", for_s: float | None = None) -> WorkerView:
        """Gives the worker of this name nothing new: for so long, or until it is resumed."""
        body = WorkerPause(note=note, for_s=for_s)
        return self._post(path_to("workers", worker, "pause"), body, WorkerView)

    def resume_worker(self, worker: str) -> WorkerView:
        """Ends a pause or a quarantine."""
        return self._post(path_to("workers", worker, "resume"), None, WorkerView)

    def list_devices(self) -> list[DeviceView]:
        """The devices that networks can be measured on."""
        return list(self._pages("/v1/devices", {}, DeviceView))

    def read_fleet(self) -> FleetView:
        """Workers, devices, and what waits for whom."""
        return self._get("/v1/fleet", FleetView)

    def claim(
        self, worker_id: str, wait_s: float = 0.0, *, key: str | None = None
    ) -> LeaseGrant | None:
        """The next stage, waiting up to `wait_s`; None if there is nothing to do.

        key: the claim's idempotency key. Claiming again with it, even after a crash of the
            caller, gives the same lease again rather than a second one.
        """
        body = ClaimRequest(worker_id=worker_id, wait_s=wait_s)
        answer = self._send("POST", "/v1/leases", body=body, key=key, wait_s=wait_s)
        return None if answer.status_code == 204 else understood(answer, LeaseGrant)

    def heartbeat(
        self, lease_id: str, heartbeat: Heartbeat, *, timeout_s: float | None = None
    ) -> HeartbeatReply:
        """Renews the lease. Raises: LeaseLost.

        Beating again is harmless, so that no reply is kept under a key; `timeout_s` bounds
        the one try, because the next beat comes soon.
        """
        path = path_to("leases", lease_id, "heartbeat")
        answer = self._send("POST", path, body=heartbeat, key="", tries=1, timeout_s=timeout_s)
        return understood(answer, HeartbeatReply)

    def complete(self, lease_id: str, report: CompleteRequest) -> ReportReply:
        """Reports the stage's result. Raises: LeaseLost."""
        return self._report(lease_id, "complete", report)

    def fail(self, lease_id: str, report: FailRequest) -> ReportReply:
        """Reports that the attempt failed. Raises: LeaseLost."""
        return self._report(lease_id, "fail", report)

    def infeasible(self, lease_id: str, report: InfeasibleRequest) -> ReportReply:
        """Reports that the arm is at fault. Raises: LeaseLost."""
        return self._report(lease_id, "infeasible", report)

    def _report(self, lease_id: str, how: str, report: BaseModel) -> ReportReply:
        return self._post(path_to("leases", lease_id, how), report, ReportReply)

    def upload_artifact(self, file: Path | bytes) -> str:
        """Stores a file (again is harmless); gives its SHA-256."""
        answer = self._put_file(path_to("artifacts", _sha256_of(file)), file)
        return understood(answer, ArtifactView).sha256

    def keep_checkpoint(
        self, lease_id: str, epoch: int, step: int, file: Path | bytes
    ) -> CheckpointReference:
        """Keeps a training's state after `step` steps, instead of earlier ones of its stage.

        Raises: LeaseLost.
        """
        query = {"epoch": epoch, "step": step, "sha256": _sha256_of(file)}
        answer = self._put_file(path_to("leases", lease_id, "checkpoint"), file, query)
        return understood(answer, CheckpointReference)

    def _put_file(
        self, path: str, file: Path | bytes, query: Mapping[str, Any] | None = None
    ) -> httpx2.Response:
        return self._send(
            "PUT",
            path,
            query=query,
            content=lambda: _pieces(file),
            media_type="application/octet-stream",
            timeout_s=_UPLOAD_TIMEOUT_S,
        )

    def download_artifact(self, sha256: str, path: Path) -> None:
        """Writes the file whole or not at all. Raises: ArtifactNotFound, AnswerNotUnderstood."""
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            for left in self._exchange.attempts():
                try:
                    self._receive(sha256, temporary)
                    break
                except (httpx2.TransportError, AnswerNotUnderstood) as error:
                    if not left:
                        if isinstance(error, AnswerNotUnderstood):
                            raise
                        raise self._exchange.unreachable(error) from error
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _receive(self, sha256: str, path: Path) -> None:
        digest = hashlib.sha256()
        source = self._exchange.http.stream(
            "GET", path_to("artifacts", sha256), timeout=_UPLOAD_TIMEOUT_S
        )
        with source as answer, path.open("wb") as file:
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            for piece in answer.iter_bytes(_CHUNK_BYTES):
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != sha256:
            raise AnswerNotUnderstood(
                f"The bytes received as artifact {sha256} have another SHA-256."
            )

    def events(self, *, after: int = 0, experiment: str | None = None) -> Iterator[EventView]:
        """What happened after event `after`, up to now."""
        query = {"experiment": experiment, "limit": 500}
        while True:
            page = self._get("/v1/events", Page[EventView], {**query, "after": after})
            yield from page.items
            if not page.items:
                return
            after = page.items[-1].id

    def stream_events(
        self, *, after: int | None = None, experiment: str | None = None
    ) -> Iterator[EventView]:
        """What happens from now on (or after event `after`), for ever; reconnects by itself.

        Raises: ServerUnreachable once several tries in a row have failed.
        """
        while True:
            for left in self._exchange.attempts():
                try:
                    for event in self._stream_once(after, experiment):
                        after = event.id
                        yield event
                    break  # the server ends streams now and then
                except httpx2.TransportError as error:
                    if not left:
                        raise self._exchange.unreachable(error) from error

    def _stream_once(self, after: int | None, experiment: str | None) -> Iterator[EventView]:
        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        query = {"experiment": experiment} if experiment is not None else {}
        source = self._exchange.http.stream(
            "GET", "/v1/events", params=query, headers=headers, timeout=httpx2.Timeout(60.0)
        )
        with source as answer:
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield understood_text(line.removeprefix("data: "), EventView)

    def list_search_spaces(self) -> list[SearchSpaceSummary]:
        """The installed search spaces."""
        return list(self._pages("/v1/search-spaces", {}, SearchSpaceSummary))

    def read_search_space(self, name: str) -> SearchSpaceDetail:
        """All of one search space."""
        return self._get(path_to("search-spaces", name), SearchSpaceDetail)

    def create_token(
        self, name: str, scopes: Sequence[Scope], expires_in_s: float | None = None
    ) -> TokenCreated:
        """A new token; its secret is shown this once."""
        body = TokenRequest(name=name, scopes=tuple(scopes), expires_in_s=expires_in_s)
        return self._post("/v1/tokens", body, TokenCreated)

    def list_tokens(self) -> list[TokenView]:
        """All tokens, without secrets."""
        return list(self._pages("/v1/tokens", {}, TokenView))

    def revoke_token(self, token_id: str) -> TokenView:
        """The token opens nothing from now on."""
        return self._post(path_to("tokens", token_id, "revoke"), None, TokenView)

    def is_ready(self) -> bool:
        """Whether the server and its database answer."""
        try:
            return self._exchange.http.get("/readyz").is_success
        except httpx2.TransportError:
            return False


def read_spec(spec: Spec) -> ExperimentSpec:
    """The spec, read strictly and checked as the server will check it.

    Raises: DocumentUnreadable, with line and column; DocumentInvalid, naming each field.
    """
    if isinstance(spec, ExperimentSpec):
        return spec
    if isinstance(spec, Mapping):
        return validate(ExperimentSpec, dict(spec))
    path = Path(spec)
    if path.suffix.lower() == ".json":
        return validate(ExperimentSpec, parse_json(path.read_bytes()))
    from service.schemas.yaml_text import parse_yaml

    return validate(ExperimentSpec, parse_yaml(path.read_bytes()))


def _sha256_of(file: Path | bytes) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(file):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(file: Path | bytes) -> Iterable[bytes]:
    if isinstance(file, bytes):
        yield file
        return
    with file.open("rb") as opened:
        while piece := opened.read(_CHUNK_BYTES):
            yield piece
