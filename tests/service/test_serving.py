"""`archfront serve` as a process: what was acknowledged survives, and nothing is left running."""

import asyncio
import gc
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import uvicorn
from fastapi import FastAPI

from service import local_server, serving
from service.client import Client
from service.domain.errors import Unauthenticated
from service.storage.database import Database
from service.use_cases.tokens import list_tokens
from tests.service.served_api import EXTERNAL_SPEC

ROOT = Path(__file__).parents[2]
Start = Callable[..., "Served"]


class Served:
    """A running `archfront serve` and a client for it."""

    def __init__(self, process: subprocess.Popen[str], url: str, token_file: Path) -> None:
        self.process = process
        self.client = Client(url, token_file.read_text().strip() if token_file.exists() else None)
        self.url = url

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("ARCHFRONT_URL", "ARCHFRONT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return dict(os.environ)


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    started: list[Served] = []

    def serve(*words: str, port: int = 0, suggesters: int = 0) -> Served:
        log = (tmp_path / "log").open("a")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "service.cli", "serve", "--port", str(port)),
                *("--data", str(tmp_path / "data"), "--suggesters", str(suggesters), *words),
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "listens at" in line, (tmp_path / "log").read_text()
        url = line.split("listens at ")[1].split()[0]
        served = Served(process, url, tmp_path / "data" / "token")
        started.append(served)
        end = time.monotonic() + 30
        while not served.client.is_ready():
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.05)
        return served

    yield serve
    for served in started:
        served.client.close()
        served.process.kill()
        served.process.communicate()


def gone(processes: list[psutil.Process], within_s: float = 20) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return not alive


@pytest.mark.slow
def test_acknowledged_writes_survive_kill_9(start: Start, tmp_path: Path) -> None:
    served = start()
    served.client.create_experiment({**EXTERNAL_SPEC, "budget": 500})
    acknowledged = []
    for x in range(25):
        trial = served.client.attach_trial(
            "own-loop",
            {"x": x / 100, "kind": "plain"},
            {"error": 0.5, "latency_ms": 1.0},
        )
        acknowledged.append(trial.number)
    served.process.kill()
    served.process.wait()

    again = start()  # the same data folder
    numbers = [trial.number for trial in again.client.list_trials("own-loop")]
    assert numbers == acknowledged
    # The token of before still opens it.
    assert len(again.client.list_tokens()) == 1


def test_a_server_has_room_for_many_connections(start: Start) -> None:
    given = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, given[1]))
    try:
        served = start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, given)
    assert psutil.Process(served.process.pid).rlimit(psutil.RLIMIT_NOFILE)[0] == min(
        given[1], 65_536
    )


@pytest.mark.slow
def test_a_server_of_a_fleet_makes_no_token(
    start: Start, tmp_path: Path, environment: dict[str, str]
) -> None:
    environment["ARCHFRONT_LOCAL_TOKEN"] = "false"
    served = start()
    assert not (tmp_path / "data" / "token").exists()
    with pytest.raises(Unauthenticated):
        served.client.list_tokens()
    database = Database(f"sqlite:///{tmp_path / 'data' / 'archfront.db'}")
    with database.read() as connection:
        assert list_tokens(connection) == []
    database.dispose()


@pytest.mark.slow
def test_a_signal_ends_everything_soon(start: Start, tmp_path: Path) -> None:
    served = start(suggesters=1)
    token_file = tmp_path / "data" / "token"
    assert token_file.stat().st_mode & 0o777 == 0o600
    assert local_server.find() is not None
    with Client() as found:
        assert found.base_url == served.url
        assert found.list_tokens()
    end = time.monotonic() + 20
    while not served.children():
        assert time.monotonic() < end
        time.sleep(0.05)
    children = served.children()
    stream = served.client.stream_events(after=0)
    assert next(stream).kind == "token_created"  # a stream is open while the signal comes
    began = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0
    assert time.monotonic() - began < 20
    assert gone(children)
    assert local_server.find() is None
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_nothing_outlives_a_killed_server(start: Start) -> None:
    served = start(suggesters=1)
    end = time.monotonic() + 20
    while not served.children():
        assert time.monotonic() < end
        time.sleep(0.05)
    children = served.children()
    served.process.kill()
    served.process.wait()
    assert gone(children)


@pytest.mark.slow
def test_a_dead_suggester_is_started_again(start: Start) -> None:
    served = start(suggesters=1)

    def suggester() -> psutil.Process:
        end = time.monotonic() + 30
        while True:
            for child in served.children():
                if "service.background.suggester" in " ".join(child.cmdline()):
                    return child
            assert time.monotonic() < end
            time.sleep(0.05)

    first = suggester()
    assert "sqlite" not in " ".join(first.cmdline())  # the URL may hold a password
    first.kill()
    gone([first])
    assert suggester().pid != first.pid
    assert served.client.is_ready()


@pytest.mark.slow
def test_the_server_ends_with_its_parent(tmp_path: Path, environment: dict[str, str]) -> None:
    words = f"serve --with-parent --port 0 --suggesters 0 --data {tmp_path / 'data'}"
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'service.cli', *{words.split()!r}],"
        " stdout=subprocess.PIPE, text=True)\n"
        "print(child.pid, child.stdout.readline(), flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline().split()[0]))
        parent.kill()
    assert gone([child])


@pytest.mark.slow
def test_a_taken_port_is_said_plainly(
    start: Start, tmp_path: Path, environment: dict[str, str]
) -> None:
    port = start().url.rpartition(":")[2]
    words = ["serve", "--port", port, "--data", str(tmp_path / "other")]
    second = subprocess.run(
        [sys.executable, "-m", "service.cli", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(f"error: Port {port} of 127.0.0.1 is in use")
    assert f"--port {int(port) + 1}" in second.stderr


@pytest.mark.slow
def test_a_token_that_was_revoked_is_replaced_at_the_next_start(
    start: Start, tmp_path: Path
) -> None:
    served = start()
    [token] = served.client.list_tokens()
    served.client.revoke_token(token.id)
    with pytest.raises(Unauthenticated):
        served.client.list_tokens()
    served.process.terminate()
    assert served.process.wait(30) == 0
    assert len(start().client.list_tokens()) == 2


def test_what_is_loaded_at_the_start_is_taken_off_the_collectors_rounds() -> None:
    before = gc.get_freeze_count()

    async def serve() -> None:
        app = FastAPI()
        app.state.warm = asyncio.create_task(asyncio.sleep(0))
        server = serving._Server(uvicorn.Config(app, port=0, log_config=None), app)
        served = asyncio.create_task(server.serve())
        async with asyncio.timeout(30):
            while gc.get_freeze_count() < before + 10_000:
                await asyncio.sleep(0.01)
        server.should_exit = True
        await served

    try:
        asyncio.run(serve())
    finally:
        gc.unfreeze()


@pytest.mark.alone
def test_no_answer_waits_for_its_client_to_acknowledge_the_head(start: Start) -> None:
    # A client that asks again at once, as a worker does after a report, acknowledges late.
    address = urlsplit(start().url)
    gaps_s = []
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
        for _ in range(60):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            began = time.perf_counter()
            if head.endswith(b"\r\n\r\n"):
                assert connection.recv(4096)
            gaps_s.append(time.perf_counter() - began)
    assert statistics.median(gaps_s) < 0.02  # 0.04 where the body is held back until then
