"""The settings of a worker: read once at the edge, from `ARCHFRONT_WORKER_*`; units end names."""

import os
import platform
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from search_spaces.values import Name, ShortText
from service.domain.device import THIS_HOST
from workers.errors import WorkerSettingsInvalid

PREFIX = "ARCHFRONT_WORKER_"

_StageKinds = tuple[Literal["train", "measure"], ...]


def _base_folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "archfront"


def default_name() -> str:
    """A worker's name from the host's."""
    return "worker-" + (re.sub(r"[^A-Za-z0-9_.\-]", "-", platform.node()) or "here")


class WorkerSettings(BaseSettings):
    """How one worker runs.

    name: unique in the fleet; None takes one after the host, with a number if it is in use.
    slots: how many stages it works off at a time.
    stages: the kinds of stage it takes.
    data_folder: keeps attempts under way and results not yet acknowledged, by worker name.
    cache_folder: prepared data and reference networks, shared by all workers on this host.
    threads: for the computation of each stage.
    cores: the processor cores to use, `threads` of them for each slot; None leaves it to the
        scheduler.
    device: names the measuring device, where the machine's identity does not tell it.
    claim_wait_s: how long one request waits for a stage to become ready.
    drain_s: after SIGTERM, running stages may still take so long before they are broken off.
    log_limit_bytes: of each attempt's log, so much is passed on.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    name: Name | None = None
    slots: Annotated[int, Field(ge=1, le=1_000)] = 1
    stages: Annotated[_StageKinds, NoDecode, Field(min_length=1)] = ("train", "measure")
    data_folder: Path = Field(
        default_factory=lambda: _base_folder("XDG_DATA_HOME", ".local/share") / "workers"
    )
    cache_folder: Path = Field(default_factory=lambda: _base_folder("XDG_CACHE_HOME", ".cache"))
    threads: Annotated[int, Field(ge=1, le=1_024)] = 1
    cores: Annotated[tuple[int, ...] | None, NoDecode] = None
    device: ShortText | None = None
    targets: Annotated[tuple[Name, ...], NoDecode] = (THIS_HOST,)
    labels: dict[Name, ShortText] = {}
    claim_wait_s: Annotated[float, Field(gt=0, le=30)] = 5.0
    drain_s: Annotated[float, Field(ge=0, le=86_400)] = 15.0
    log_limit_bytes: Annotated[int, Field(ge=0)] = 4 * 1024 * 1024

    @field_validator("stages", "cores", "targets", mode="before")
    @classmethod
    def _from_list(cls, given: Any) -> Any:
        if isinstance(given, str):
            return tuple(part.strip() for part in given.split(",") if part.strip())
        return given

    @model_validator(mode="after")
    def _cores_suffice(self) -> Self:
        if self.cores is None:
            return self
        if not hasattr(os, "sched_getaffinity"):
            raise ValueError("cores cannot be chosen on this operating system; leave it out")
        absent = sorted(set(self.cores) - os.sched_getaffinity(0))
        if absent:
            allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))))
            raise ValueError(f"cores names {absent}, which it may not use; choose from {allowed}")
        if len(self.cores) < self.slots * self.threads:
            raise ValueError(
                f"cores lists {len(self.cores)}, but {self.slots} slots of {self.threads} threads "
                "need one each; list more cores or lower slots"
            )
        return self

    def cores_of(self, slot: int) -> tuple[int, ...] | None:
        """The cores that the stages of this slot are bound to."""
        if self.cores is None:
            return None
        return self.cores[slot * self.threads : (slot + 1) * self.threads]


def read_worker_settings(**given: object) -> WorkerSettings:
    """The settings from the environment, with those given that are not None on top.

    Raises: WorkerSettingsInvalid, naming the setting, its value and the remedy.
    """
    try:
        return WorkerSettings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "settings"
        message, _, remedy = first["msg"].removeprefix("Value error, ").partition("; ")
        raise WorkerSettingsInvalid(
            f"{field}: {message} (got {str(first['input'])[:100]!r}).",
            field=field,
            remedy=(remedy or f"Correct --{field.replace('_', '-')} or {PREFIX}{field.upper()}")
            + ".",
        ) from None
