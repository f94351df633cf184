"""What `archfront serve` does: the whole service on one machine, started and ended together."""

import asyncio
import errno
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.api.app import close_waiting, create_app
from service.child_processes import ChildProcess, when_parent_dies
from service.domain.errors import ArchfrontError, Unauthenticated
from service.local_server import LocalServer, publish, withdraw, write_privately
from service.schemas.tokens import TokenRequest
from service.settings import Settings, is_loopback
from service.storage.database import Database
from service.use_cases.tokens import authenticate, create_token

_GRACE_S = 5
_OPEN_FILES = 65_536
_LOCAL_TOKEN = TokenRequest(name="local", scopes=("read", "write", "work", "admin"))


class AddressTaken(ArchfrontError):
    """Another process listens there already."""


class DataFolderUnusable(ArchfrontError):
    """The data folder cannot be written."""


def serve(
    settings: Settings,
    *,
    suggesters: int = 1,
    ends_with_parent: bool = False,
    tell: Callable[[str], None] = print,
) -> None:
    """Migrates the database, starts suggesters and serves the API until SIGTERM or SIGINT.

    Nothing is left running, however it ends: children watch for this process's death.
    ends_with_parent: also end when the process that started this one is gone.
    Raises: SettingsInvalid, AddressTaken, DataFolderUnusable, DatabaseNewerThanCode.
    """
    settings.check_bind()
    _allow_connections()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    if ends_with_parent:
        when_parent_dies(lambda: os.kill(os.getpid(), signal.SIGTERM))
    _make_folder(settings.data_folder)
    listener = _listen(settings.host, settings.port)
    database = Database(settings.database)
    children: list[ChildProcess] = []
    note: Path | None = None
    server = LocalServer(url=_url(listener), token_file=settings.data_folder.absolute() / "token")
    try:
        database.upgrade()
        if settings.local_token:
            _ensure_token(database, server.token_file)
        app = create_app(settings, database)
        children = [_suggester(settings, index) for index in range(suggesters)]
        for child in children:
            child.start()
        note = publish(server)
        tell(f"archfront listens at {server.url}   (data in {settings.data_folder}, Ctrl-C ends)")
        _run(app, listener)
    finally:
        if note is not None:
            withdraw(note, server)
        for child in children:
            child.request_stop()
        for child in children:
            child.wait()
        database.dispose()
        listener.close()


class _Server(uvicorn.Server):
    """Uvicorn, with long polls and streams ended at the first signal."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer; what all requests share is taken off the collector's rounds soon."""
        await super().startup(sockets)
        if self.started:
            self._freezing = asyncio.create_task(self._freeze_when_warm())

    async def _freeze_when_warm(self) -> None:
        # A full collection looks through every module that was ever loaded, for 0.1 to 0.2 s in
        # which nobody is answered. What is there once all is loaded is there for good.
        await asyncio.shield(self._app.state.warm)
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the shutdown."""
        close_waiting(self._app)
        super().handle_exit(sig, frame)


def _run(app: FastAPI, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
        timeout_keep_alive=75,
    )
    server = _Server(config, app)
    try:
        server.run(sockets=[listener])
    except SystemExit as ended:
        # Uvicorn raises the signal again after its own shutdown; that is our `_leave`.
        if ended.code not in (None, 0):
            raise
    if not server.started:
        raise ArchfrontError("The server did not start.", remedy="See the log above.")


def _allow_connections() -> None:
    """As many open files as the system lets this process have, up to a limit of our own.

    Each worker keeps a connection or two; many systems begin with 1,024 files for all of them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _leave(_: int, __: FrameType | None) -> None:
    sys.exit(0)


def _suggester(settings: Settings, index: int) -> ChildProcess:
    return ChildProcess(
        f"suggester-{index}",
        [
            sys.executable,
            "-m",
            "service.background.suggester",
            "--parent-pid",
            str(os.getpid()),
            "--log-format",
            settings.log_format,
            "--log-level",
            settings.log_level,
        ],
        # Not on the command line, which every user of the machine can read.
        {"ARCHFRONT_DATABASE_URL": settings.database},
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DataFolderUnusable(
            f"{folder} cannot be made: {error.strerror}.",
            field="data_folder",
            remedy="Choose another with --data (ARCHFRONT_DATA_FOLDER).",
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything else is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name, not 0: asyncio turns Nagle's algorithm off only where it is. Else the
    # body of an answer waits for the client to acknowledge the head, which takes it 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressTaken(
                f"Port {port} of {host} is in use, maybe by another `archfront serve`.",
                field="port",
                remedy=f"End that one, or choose another: --port {port + 1}.",
            ) from None
        raise AddressTaken(
            f"Cannot listen at {host}:{port}: {error.strerror}.",
            field="host",
            remedy="Choose another --host or --port.",
        ) from None
    listener.set_inheritable(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if is_loopback(host):
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return f"http://127.0.0.1:{port}"


def _ensure_token(database: Database, path: Path) -> None:
    """A token for this user on this machine: the one kept, if it still opens the database."""
    try:
        kept = path.read_text(encoding="ascii").strip()
        with database.read() as connection:
            authenticate(connection, kept)
        path.chmod(0o600)
    except (OSError, UnicodeDecodeError, Unauthenticated):
        with database.write() as connection:
            created = create_token(connection, _LOCAL_TOKEN)
            # Within the transaction: no token is left in the database that nobody has.
            write_privately(path, created.secret)
