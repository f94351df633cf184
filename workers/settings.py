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
from workers.stage_limits import StageLimits

PREFIX = "ARCHFRONT_WORKER_"

_OPTIONS = {
    "cache_folder": "cache",
    "data_folder": "data",
    "disk_limit_gib": "disk-limit",
    "devices_file": "devices",
    "drain_s": "drain",
    "gpus_per_stage": "gpus-per-stage",
    "labels": "label",
    "memory_limit_gib": "memory-limit",
    "resources": "resource",
    "slurm_gres": "gres",
    "slurm_partition": "partition",
    "slurm_time_limit_min": "job-minutes",
    "targets": "target",
    "time_limit_s": "time-limit",
}
"""The command line's names of settings, where they are others."""

_SLURM_QUEUE_S = 86_400.0

_StageKinds = tuple[Literal["train", "measure"], ...]


def _base_folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "archfront"


def default_name() -> str:
    """A worker's name from the host's."""
    return "worker-" + (re.sub(r"[^A-Za-z0-9_.\-]", "-", platform.node()) or "here")


class WorkerSettings(BaseSettings):
    """How one worker runs.

    engine: where its stages run: `local`, this machine; `ray`, a Ray cluster; `slurm`, as jobs.
    name: unique in the fleet; None takes one after the host, with a number if it is in use.
    slots: how many stages it works off at a time; other engines than `local` set a bound of their
        own by the room they have, so that the default there is 64.
    stages: the kinds of stage it takes; `train` alone with other engines than `local`.
    data_folder: keeps attempts under way and results not yet acknowledged, by worker name.
    cache_folder: prepared data and reference networks, shared by all workers on this host.
    threads: for the computation of each stage.
    cores: the processor cores to use, `threads` of them for each slot; None leaves it to the
        scheduler.
    gpus: the GPUs to use, dealt out to the slots in turn, as `CUDA_VISIBLE_DEVICES` names them
        (numbers, UUIDs, MIG ids); None leaves it to that variable, and all slots see them all.
    device: names the measuring device, where the machine's identity does not tell it.
    targets: the names under which experiments may ask to be measured on this host.
    devices_file: describes further devices to measure on (see `workers.devices.devices_file`).
    labels, resources: what experiments may require, by name; memory, cores and GPUs are found by
        itself (see `workers.resources`).
    memory_limit_gib, disk_limit_gib, time_limit_s: of each stage (see `workers.stage_limits`); an
        experiment's own limits may be tighter.
    address: of the Ray cluster, as `HOST:PORT`, or `auto` for the one that this machine is in.
    gpus_per_stage: on other engines than `local`, for an experiment that requires none.
    retries: how often such an engine starts a stage anew by itself after a machine's death.
    place_wait_s: a leased stage for which such an engine finds no machine is given back then; a
        day in Slurm's queue.
    slurm_partition, slurm_gres, slurm_time_limit_min: of each job.
    slurm_cluster: `local` runs the jobs as processes of this machine, to try it out.
    claim_wait_s: how long one request waits for a stage to become ready.
    drain_s: after SIGTERM, running stages may still take so long before they are broken off.
    log_limit_bytes: of each attempt's log, so much is passed on.
    litert_python: of the environment of LiteRT's converter; None: the one in the cache, if it was
        made (`workers.runtimes.litert_environment`).
    health_host, health_port: where probes may ask for `/healthz`; without a port, nowhere.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    engine: Literal["local", "ray", "slurm"] = "local"
    name: Name | None = None
    slots: Annotated[int, Field(ge=1, le=1_000)] = 1
    stages: Annotated[_StageKinds, NoDecode, Field(min_length=1)] = ("train", "measure")
    data_folder: Path = Field(
        default_factory=lambda: _base_folder("XDG_DATA_HOME", ".local/share") / "workers"
    )
    cache_folder: Path = Field(default_factory=lambda: _base_folder("XDG_CACHE_HOME", ".cache"))
    threads: Annotated[int, Field(ge=1, le=1_024)] = 1
    cores: Annotated[tuple[int, ...] | None, NoDecode] = None
    gpus: Annotated[tuple[ShortText, ...] | None, NoDecode] = None
    device: ShortText | None = None
    targets: Annotated[tuple[Name, ...], NoDecode] = (THIS_HOST,)
    devices_file: Path | None = None
    labels: dict[Name, ShortText] = {}
    resources: dict[Name, float] = {}
    memory_limit_gib: Annotated[float | None, Field(gt=0)] = None
    disk_limit_gib: Annotated[float | None, Field(gt=0)] = None
    time_limit_s: Annotated[float | None, Field(gt=0)] = None
    address: ShortText | None = None
    gpus_per_stage: Annotated[float, Field(ge=0, le=64)] = 0.0
    retries: Annotated[int, Field(ge=0, le=100)] = 3
    place_wait_s: Annotated[float, Field(gt=0, le=86_400)] = 120.0
    slurm_partition: ShortText | None = None
    slurm_gres: ShortText | None = None
    slurm_time_limit_min: Annotated[int, Field(ge=1, le=43_200)] = 1_440
    slurm_cluster: Literal["slurm", "local"] = "slurm"
    claim_wait_s: Annotated[float, Field(gt=0, le=30)] = 5.0
    drain_s: Annotated[float, Field(ge=0, le=86_400)] = 15.0
    log_limit_bytes: Annotated[int, Field(ge=0)] = 4 * 1024 * 1024
    litert_python: Path | None = None
    health_host: str = "127.0.0.1"
    health_port: Annotated[int | None, Field(ge=0, le=65_535)] = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_by_engine(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("engine", "local") != "local":
            by_engine = {"slots": 64, "stages": ("train",), "targets": ()}
            if given["engine"] == "slurm":
                by_engine["place_wait_s"] = _SLURM_QUEUE_S  # who leaves a queue loses the turn
            return by_engine | given
        return given

    @field_validator("stages", "cores", "gpus", "targets", mode="before")
    @classmethod
    def _from_list(cls, given: Any) -> Any:
        if isinstance(given, str):
            return tuple(part.strip() for part in given.split(",") if part.strip())
        return given

    @model_validator(mode="after")
    def _engine_can(self) -> Self:
        if self.engine == "local":
            return self
        if self.stages != ("train",) or self.targets:
            raise ValueError(
                f"engine {self.engine} only trains, for its machines are no measuring devices; "
                "leave --stages and --target out, and start a worker beside each device"
            )
        if self.cores is not None or self.gpus is not None:
            raise ValueError(
                f"engine {self.engine} deals out cores and GPUs itself; leave --cores and --gpus "
                "out, and say --gpus-per-stage"
            )
        return self

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

    @model_validator(mode="after")
    def _slots_suffice(self) -> Self:
        if self.gpus is not None and not 0 < len(self.gpus) <= self.slots:
            raise ValueError(
                f"gpus lists {len(self.gpus)}, but there are {self.slots} slots; give each GPU one "
                "slot or more"
            )
        return self

    @property
    def stage_limits(self) -> StageLimits:
        """What each stage may use here."""
        return StageLimits(
            memory_gib=self.memory_limit_gib,
            disk_gib=self.disk_limit_gib,
            time_s=self.time_limit_s,
        )

    def gpu_of(self, slot: int) -> str | None:
        """The GPU that the stages of this slot see; None: whatever the worker itself does."""
        return None if self.gpus is None else self.gpus[slot % len(self.gpus)]

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
            remedy=(remedy or f"Correct --{_OPTIONS.get(field, field)} or {PREFIX}{field.upper()}")
            + ".",
        ) from None
