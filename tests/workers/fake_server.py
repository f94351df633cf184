"""A small real HTTP server that speaks the leases' part of the wire, and can be told to fail."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from service.api.problems import problem_response
from service.domain.errors import (
    ArchfrontError,
    ArtifactNotFound,
    DigestMismatch,
    LeaseLost,
    Unauthenticated,
    Unavailable,
    WorkerNotFound,
)
from service.domain.lease import LeaseTimes
from service.schemas.artifacts import ArtifactView
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
from service.schemas.workers import (
    WorkerRegistered,
    WorkerRegistration,
    WorkerStatusChange,
    WorkerView,
)
from tests.workers.waiting import eventually

TOKEN = "archfront_test_" + "x" * 43


class FakeServer:
    """Grants what is in `grants`, remembers what it is told.

    commands: the command answered to each lease's heartbeats. lost: leases that have gone.
    is_down: every request is answered 503. refusals: errors to answer next, by kind of request.
    """

    def __init__(self) -> None:
        self.times = LeaseTimes(ttl_s=20.0, heartbeat_s=0.1, reap_s=1.0, stop_margin_s=5.0)
        self.grants: list[LeaseGrant] = []
        self.registrations: list[WorkerRegistration] = []
        self.statuses: list[str] = []
        self.heartbeats: dict[str, list[Heartbeat]] = {}
        self.reports: dict[str, list[CompleteRequest | FailRequest | InfeasibleRequest]] = {}
        self.artifacts: dict[str, bytes] = {}
        self.checkpoints: dict[str, list[tuple[int, bytes]]] = {}
        self.commands: dict[str, str] = {}
        self.lost: set[str] = set()
        self.forgotten_workers: set[str] = set()
        self.is_down = False
        self.refusals: dict[str, list[ArchfrontError]] = {}
        self._lock = threading.Lock()
        self.app = self._build()

    # What the tests ask.

    def report(self, lease_id: str = "lease-1", limit_s: float = 30.0) -> Any:
        """The one report on the lease, as soon as it is there."""
        assert eventually(lambda: self.reports.get(lease_id), limit_s), "no report came"
        (report,) = self.reports[lease_id]
        return report

    def log(self, lease_id: str = "lease-1") -> str:
        """The log as sent, which must be free of gaps."""
        text = ""
        for heartbeat in self.heartbeats.get(lease_id, []):
            if heartbeat.log is not None:
                assert heartbeat.log.offset == len(text)
                text += heartbeat.log.text
        return text

    def curve(self, lease_id: str = "lease-1") -> list[tuple[int, float]]:
        """Steps and errors as sent."""
        return [
            (point.step, point.metrics["error"])
            for heartbeat in self.heartbeats.get(lease_id, [])
            for point in heartbeat.curve
        ]

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[str]:
        """Serves on loopback; gives the address."""
        config = uvicorn.Config(self.app, host="127.0.0.1", port=port, log_level="critical")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            assert eventually(lambda: server.started, 10)
            bound = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{bound}"
        finally:
            server.should_exit = True
            thread.join(10)

    # What the worker asks.

    def _build(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def check(request: Request, call_next: Any) -> Response:
            if self.is_down:
                return problem_response(Unavailable("The server is down for the test."))
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return problem_response(Unauthenticated())
            kind = request.url.path.rsplit("/", 1)[-1]
            with self._lock:
                if self.refusals.get(kind):
                    return problem_response(self.refusals[kind].pop(0))
            return await call_next(request)

        @app.exception_handler(ArchfrontError)
        async def problem(_: Request, error: ArchfrontError) -> Response:
            return problem_response(error)

        @app.post("/v1/workers", status_code=201)
        def register(registration: WorkerRegistration) -> WorkerRegistered:
            self.registrations.append(registration)
            return WorkerRegistered(worker_id=f"worker-{len(self.registrations)}", times=self.times)

        @app.post("/v1/workers/{worker_id}/status")
        def change_status(worker_id: str, change: WorkerStatusChange) -> WorkerView:
            self.statuses.append(change.status)
            registration, now = self.registrations[-1], datetime.now(UTC)
            return WorkerView(
                id=worker_id,
                name=registration.name,
                status=change.status,
                device=registration.device,
                slots=registration.slots,
                busy_slots=0,
                search_spaces=registration.search_spaces,
                labels=registration.labels,
                profile=registration.profile,
                version=registration.version,
                registered_at=now,
                last_seen_at=now,
            )

        @app.post("/v1/leases", response_model=LeaseGrant, status_code=201)
        def claim(request: ClaimRequest) -> Any:
            if request.worker_id in self.forgotten_workers:
                raise WorkerNotFound
            end = time.monotonic() + request.wait_s
            while time.monotonic() < end:
                with self._lock:
                    if self.grants:
                        return self.grants.pop(0)
                time.sleep(0.01)
            return Response(status_code=204)

        @app.post("/v1/leases/{lease_id}/heartbeat")
        def renew(lease_id: str, heartbeat: Heartbeat) -> HeartbeatReply:
            self._check_lease(lease_id)
            self.heartbeats.setdefault(lease_id, []).append(heartbeat)
            return HeartbeatReply(
                expires_at=datetime.now(UTC) + timedelta(seconds=self.times.ttl_s),
                ttl_s=self.times.ttl_s,
                command=self.commands.get(lease_id, "continue"),
            )

        @app.put("/v1/leases/{lease_id}/checkpoint")
        async def keep(lease_id: str, step: int, sha256: str, request: Request) -> Any:
            self._check_lease(lease_id)
            assert lease_id not in self.reports  # it would come too late
            body = await request.body()
            assert hashlib.sha256(body).hexdigest() == sha256
            self.checkpoints.setdefault(lease_id, []).append((step, body))
            return CheckpointReference(step=step, sha256=sha256, size_bytes=len(body))

        @app.post("/v1/leases/{lease_id}/complete")
        def complete(lease_id: str, report: CompleteRequest) -> ReportReply:
            assert all(output.sha256 in self.artifacts for output in report.artifacts)
            return self._record(lease_id, report)

        @app.post("/v1/leases/{lease_id}/fail")
        def fail(lease_id: str, report: FailRequest) -> ReportReply:
            return self._record(lease_id, report)

        @app.post("/v1/leases/{lease_id}/infeasible")
        def infeasible(lease_id: str, report: InfeasibleRequest) -> ReportReply:
            return self._record(lease_id, report)

        @app.put("/v1/artifacts/{sha256}", status_code=201)
        async def upload(sha256: str, request: Request) -> ArtifactView:
            body = await request.body()
            if hashlib.sha256(body).hexdigest() != sha256:
                raise DigestMismatch
            self.artifacts[sha256] = body
            return ArtifactView(sha256=sha256, size_bytes=len(body), created_at=datetime.now(UTC))

        @app.get("/v1/artifacts/{sha256}")
        def download(sha256: str) -> Response:
            if sha256 not in self.artifacts:
                raise ArtifactNotFound
            return Response(self.artifacts[sha256], media_type="application/octet-stream")

        return app

    def _check_lease(self, lease_id: str) -> None:
        if lease_id in self.lost:
            raise LeaseLost

    def _record(self, lease_id: str, report: Any) -> ReportReply:
        self._check_lease(lease_id)
        self.reports.setdefault(lease_id, []).append(report)
        return ReportReply(trial_number=0, trial_status="running", stage_status="completed")
