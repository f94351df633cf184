"""The services of the compose file as processes of this machine, on a real PostgreSQL."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from service.client import Client
from tests.deploy.shipped import compose_services
from tests.e2e.local_service import STRANGER_PACKAGE
from tests.workers.waiting import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status_of(url: str) -> int | None:
    """What a probe is answered; None if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


class Fleet:
    """Commands and settings are the compose file's; addresses and folders are the test's."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.data = folder / "server"
        self.database_url = database_url
        self._services = compose_services()
        self._processes: list[subprocess.Popen[bytes]] = []

    def start_api(self, port: int) -> subprocess.Popen[bytes]:
        return self._start("api", {"ARCHFRONT_HOST": "127.0.0.1", "ARCHFRONT_PORT": str(port)})

    def start_suggester(self) -> subprocess.Popen[bytes]:
        return self._start("suggester", {})

    def start_worker(self, url: str, token: str, health_port: int) -> subprocess.Popen[bytes]:
        return self._start(
            "worker",
            {
                "ARCHFRONT_URL": url,
                "ARCHFRONT_TOKEN": token,
                "ARCHFRONT_WORKER_HEALTH_PORT": str(health_port),
            },
        )

    def command_line(self, *words: str) -> str:
        """What `docker compose run api ...` would print."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *words],
            env=self._environment("api", {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self) -> None:
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()

    def _start(self, service: str, changes: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", *self._services[service]["command"]],
                env=self._environment(service, changes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def _environment(self, service: str, changes: dict[str, str]) -> dict[str, str]:
        given = {
            name: re.sub(r"\$\{\w+:.([^}]*)\}", r"\1", str(value))
            for name, value in self._services[service]["environment"].items()
        }
        if "ARCHFRONT_DATABASE_URL" in given:
            given["ARCHFRONT_DATABASE_URL"] = self.database_url
            given["ARCHFRONT_DATA_FOLDER"] = str(self.data)
        home = {"HOME": str(self.folder / service), "PYTHONPATH": str(STRANGER_PACKAGE)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        return kept | home | given | changes


def wait_until_ready(fleet: Fleet, *ports: int) -> None:
    for port in ports:
        ready = f"http://127.0.0.1:{port}/readyz"
        assert eventually(lambda url=ready: status_of(url) == 200, 90), fleet.log()


def client_at(port: int, token: str) -> Client:
    return Client(f"http://127.0.0.1:{port}", token)
