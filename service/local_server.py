"""How the CLI and the SDK find a server on the same machine: a note only its user can read.

`archfront serve` keeps a token (mode 0600) in its data folder and leaves a note of its
address and of that file under `$XDG_STATE_HOME/archfront/servers/`, one per port.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from search_spaces.values import Value


class LocalServer(Value):
    """A server on this machine: where it listens and where its token lies."""

    url: str
    token_file: Path

    def token(self) -> str | None:
        """The token; None if the file is gone or not ours to read."""
        try:
            return self.token_file.read_text(encoding="ascii").strip() or None
        except (OSError, UnicodeDecodeError):
            return None


def notes_folder() -> Path:
    """Where the notes of this user's servers lie."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "archfront" / "servers"


def publish(server: LocalServer) -> Path:
    """Leaves the note of a server that has started; gives its path."""
    note = notes_folder() / f"{urlsplit(server.url).port}.json"
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_privately(note, server.model_dump_json())
    return note


def withdraw(note: Path, server: LocalServer) -> None:
    """Removes the note, unless another server has put its own there."""
    if _read(note) == server:
        note.unlink(missing_ok=True)


def find(url: str | None = None) -> LocalServer | None:
    """The server that listens at `url`, or, without one, the one started last."""
    notes = sorted(notes_folder().glob("*.json"), key=lambda note: -note.stat().st_mtime)
    servers = [server for note in notes if (server := _read(note)) is not None]
    if url is None:
        return servers[0] if servers else None
    return next((server for server in servers if _same_place(server.url, url)), None)


def write_privately(path: Path, text: str) -> None:
    """Writes a file of mode 0600 whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)


def _read(note: Path) -> LocalServer | None:
    try:
        return LocalServer.model_validate(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def _same_place(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    loopback = {"127.0.0.1", "localhost", "::1"}
    same_host = first.hostname == second.hostname or {first.hostname, second.hostname} <= loopback
    return same_host and first.port == second.port
