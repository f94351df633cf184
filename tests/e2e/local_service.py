"""A whole service of real processes in a folder of its own, to be killed at will."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.client import Client
from service.storage.artifacts import ArtifactStore
from service.storage.database import Database
from service.storage.invariants import check_invariants
from tests.workers.waiting import eventually

STRANGER_PACKAGE = Path(__file__).parents[1] / "workers" / "stranger_package"

SHORT_TTL_S = 4.0
"""For tests that wait until a lease has expired."""

LONG_TTL_S = 60.0
"""For tests in which no lease must expire, however busy the machine is."""


class LocalService:
    """`archfront serve` and `archfront worker` on loopback."""

    def __init__(self, folder: Path, ttl_s: float) -> None:
        self.folder = folder
        self.ttl_s = ttl_s
        self.data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: subprocess.Popen[bytes] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        self._clients: list[Client] = []

    # Processes.

    def start_server(self) -> None:
        """Returns once it answers."""
        command = ["serve", "--port", str(self.port), "--data", str(self.data)]
        self._server = self._start("server", command)
        assert eventually(self._is_ready, 90), self.log("server")

    def kill_server(self) -> None:
        """As a power cut would."""
        self._server.kill()
        self._server.wait()

    def start_worker(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A worker that trains and measures unless told otherwise."""
        folders = ["--data", str(self.folder / "workers"), "--cache", str(self.folder / "cache")]
        command = ["worker", "--url", self.url, "--name", name, *folders, *arguments]
        return self._start(name, command)

    def log(self, name: str) -> str:
        """What a process has printed."""
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        """Ends all, in an orderly way where that works."""
        for client in self._clients:
            client.close()
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "ARCHFRONT_LEASE_TTL_S": str(self.ttl_s),
            "ARCHFRONT_HEARTBEAT_S": "0.5",
            "ARCHFRONT_STOP_MARGIN_S": "1",
            "ARCHFRONT_REAP_S": "0.5",
            "ARCHFRONT_WORKER_CLAIM_WAIT_S": "1",
            "PYTHONPATH": str(STRANGER_PACKAGE),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }
        if name != "server":
            environment["ARCHFRONT_TOKEN"] = self.token
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    # What a user does.

    @property
    def token(self) -> str:
        """The token that the server keeps for its user."""
        return (self.data / "token").read_text().strip()

    def client(self, **options: Any) -> Client:
        """A client of its own."""
        client = Client(self.url, self.token, **options)
        self._clients.append(client)
        return client

    def _is_ready(self) -> bool:
        with Client(self.url, "not needed") as client:
            return client.is_ready()

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The server's database, looked at from outside."""
        database = Database(f"sqlite:///{self.data / 'archfront.db'}")
        yield database
        database.dispose()

    def broken_invariants(self) -> list[str]:
        """Of the database and the artifacts."""
        with self.database() as database, database.read() as connection:
            return check_invariants(connection, ArtifactStore(str(self.data / "artifacts")))


def tiny_experiment(name: str, *, budget: int, **changes: Any) -> dict[str, Any]:
    """A search of the tiny space; `parameters` given as values are fixed."""
    parameters = {"steps": 5, "step_s": 0.0, "behaviour": "train"} | changes.pop("parameters", {})
    return {
        "name": name,
        "search_space": "tiny@1",
        "parameters": [
            {"type": "fixed", "name": key, "value": value} for key, value in parameters.items()
        ],
        "objectives": [
            {"metric": "error", "goal": "minimize"},
            {"metric": "latency_ms", "goal": "minimize"},
        ],
        "optimizer": {"strategy": "sobol"},
        "measurement": {"min_pairs": 16, "relative_ci": 0.5, "time_limit_s": 2.0},
        "budget": budget,
        **changes,
    }
