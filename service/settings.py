"""The settings of a server: read once at the edge, from `ARCHFRONT_*`; units end the names."""

import difflib
import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.domain.errors import ArchfrontError
from service.domain.lease import LeaseTimes

PREFIX = "ARCHFRONT_"
DEFAULT_PORT = 8731
_OTHERS = ("ARCHFRONT_WORKER_", "ARCHFRONT_DEMO_", "ARCHFRONT_TEST_")
_CLIENT = ("ARCHFRONT_URL", "ARCHFRONT_TOKEN")


class SettingsInvalid(ArchfrontError):
    """A setting is not valid."""


def default_data_folder() -> Path:
    """`$XDG_DATA_HOME/archfront`, by default `~/.local/share/archfront`."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "archfront"


class Settings(BaseSettings):
    """How the API process runs.

    database_url: SQLite in the data folder unless given; `postgresql://...` for a fleet.
    artifacts_url: a folder or an fsspec URL such as `s3://bucket/prefix`.
    local_token: keep a token of every scope in the data folder, for the user of this machine.
    allow_remote: a bind beyond loopback is meant, and a proxy in front terminates TLS.
    long_poll_limit, stream_limit: how many claims and event streams may wait at once.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data_folder: Path = Field(default_factory=default_data_folder)
    database_url: str = ""
    artifacts_url: str = ""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = DEFAULT_PORT
    local_token: bool = True
    allow_remote: bool = False
    lease_ttl_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    heartbeat_s: Annotated[float, Field(gt=0, le=3_600)] = 15.0
    stop_margin_s: Annotated[float, Field(ge=0, le=3_600)] = 5.0
    reap_s: Annotated[float, Field(gt=0, le=3_600)] = 5.0
    body_limit_bytes: Annotated[int, Field(ge=1_024)] = 1024 * 1024
    artifact_limit_bytes: Annotated[int, Field(ge=1_024)] = 2 * 1024**3
    long_poll_limit: Annotated[int, Field(ge=1)] = 1_000
    stream_limit: Annotated[int, Field(ge=1)] = 200
    stream_time_limit_s: Annotated[float, Field(gt=0)] = 900.0
    keep_alive_s: Annotated[float, Field(gt=0)] = 15.0
    change_poll_s: Annotated[float, Field(gt=0, le=10)] = 0.25
    log_format: Annotated[str, Field(pattern="^(text|json)$")] = "text"
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        if not self.heartbeat_s + self.stop_margin_s < self.lease_ttl_s:
            raise ValueError(
                f"heartbeat_s ({self.heartbeat_s}) + stop_margin_s ({self.stop_margin_s}) must be "
                f"below lease_ttl_s ({self.lease_ttl_s}); lower them or raise lease_ttl_s"
            )
        return self

    @property
    def database(self) -> str:
        """The database's URL, resolved."""
        return self.database_url or f"sqlite:///{self.data_folder.absolute() / 'archfront.db'}"

    @property
    def artifacts(self) -> str:
        """Where artifacts lie, resolved."""
        return self.artifacts_url or str(self.data_folder.absolute() / "artifacts")

    @property
    def times(self) -> LeaseTimes:
        """The intervals dictated to workers."""
        return LeaseTimes(
            ttl_s=self.lease_ttl_s,
            heartbeat_s=self.heartbeat_s,
            reap_s=self.reap_s,
            stop_margin_s=self.stop_margin_s,
        )

    def check_bind(self) -> None:
        """Refuses to listen beyond this machine unless that is meant.

        Raises: SettingsInvalid.
        """
        if not is_loopback(self.host) and not self.allow_remote:
            raise SettingsInvalid(
                f"host {self.host!r} can be reached from other machines, and tokens would travel "
                "in the clear.",
                field="host",
                remedy="Keep 127.0.0.1, or put a TLS-terminating proxy in front and say so with "
                "--allow-remote (ARCHFRONT_ALLOW_REMOTE=true).",
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_settings(**given: object) -> Settings:
    """The settings from the environment, with those given that are not None on top.

    Raises: SettingsInvalid, naming the variable, its value and the remedy.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in os.environ:
        if not name.startswith(PREFIX) or name in known or name in _CLIENT:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if near and not name.startswith(_OTHERS):
            raise SettingsInvalid(
                f"The environment sets {name}, which is no setting.",
                field=name,
                remedy=f"Did you mean {near[0]}?",
            )
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "settings"
        message, _, remedy = first["msg"].removeprefix("Value error, ").partition("; ")
        raise SettingsInvalid(
            f"{field}: {message} (got {str(first['input'])[:100]!r}).",
            field=field,
            remedy=(remedy or f"Correct --{field.replace('_', '-')} or {PREFIX}{field.upper()}")
            + ".",
        ) from None
