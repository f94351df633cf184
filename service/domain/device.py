"""What a network is measured on, and how: targets, device profiles, measurement settings."""

import hashlib
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from search_spaces.metric import (
    ARCHITECTURE_METRICS,
    DEVICE_METRICS,
    OPTIONAL_METRICS,
    MetricDefinition,
)
from search_spaces.values import Name, ShortText, Value
from service.domain.runtimes import (
    DEFAULT_RUNTIME,
    RUNTIME_PRECISIONS,
    Precision,
    RuntimeName,
    no_such_precision,
)

THIS_HOST = "this-host"
"""The target that every worker with a runtime has: the machine it runs on."""

Threads = Annotated[int, Field(ge=1, le=64)]

_KEY_DIGITS = 12


class DeviceProfile(Value):
    """What of a device bears on a latency.

    make, model: of the board or phone, where the system tells them.
    cores: all that it has; how many a measurement used stands in its protocol.
    governor: the frequency governor of the first core, where the system tells it.
    torch: the version that exported the networks.
    """

    make: ShortText | None = None
    model: ShortText | None = None
    processor: ShortText
    architecture: ShortText
    cores: int
    memory_bytes: int | None = None
    system: ShortText
    kernel: ShortText
    governor: ShortText | None
    torch: ShortText | None

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits for the hardware alone: the same before and after updates."""
        return _digest(self.make, self.model, self.processor, self.architecture, self.cores)


class OfferedTarget(Value):
    """A target that a worker can measure on.

    device: identifies the physical device. Workers that reach the same one name it alike, and
        never measure on it at the same time.
    runtimes: the versions of those that can be measured there, by name.
    metrics: those of `OPTIONAL_METRICS` that can be given there, by their bare names.
    """

    name: Name
    device: ShortText
    profile: DeviceProfile
    runtimes: dict[Name, ShortText]
    metrics: Annotated[tuple[Name, ...], Field(max_length=20)] = ()

    def comparison_key(self, runtime: str) -> str:
        """Equal where latencies compare: same hardware, governor, runtime and its version."""
        version = self.runtimes[runtime]
        return _digest(self.name, self.profile.key, self.profile.governor, runtime, version)


class MeasurementSettings(Value):
    """How networks are measured, in which runtime, how surely; travels with every figure.

    runtime: None: chosen for each target when the experiment is created, from what its workers
        offer (see `default_runtime`).
    precision: one that `RUNTIME_PRECISIONS` has for the runtime.
    relative_ci: the 95 % confidence interval of the latency's median is narrowed to this share
        of it (0.01 = +-1 %), unless `time_limit_s` comes first.
    untrained: measure an arm before it is trained, on weights of no meaning; an arm that misses
        a bound then never trains (None: wherever the search space says that this measures alike,
        and no target's runtime skips zeros).
    """

    runtime: RuntimeName | None = None
    precision: Precision = "fp32"
    threads: Threads = 1
    min_pairs: Annotated[int, Field(ge=16, le=100_000)] = 64
    relative_ci: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 20.0
    untrained: bool | None = None

    @field_validator("precision")
    @classmethod
    def _runtime_has_it(cls, precision: Precision, info: ValidationInfo) -> Precision:
        runtime = info.data.get("runtime")  # absent if it is itself refused, or not yet chosen
        if runtime is not None and precision not in RUNTIME_PRECISIONS[runtime]:
            raise ValueError(no_such_precision(runtime, precision))
        return precision

    @property
    def chosen_runtime(self) -> RuntimeName:
        """The runtime, or the usual one where nobody has chosen."""
        return self.runtime or DEFAULT_RUNTIME


class Target(Value):
    """A device that the trials of an experiment are measured on; also written as its bare name.

    runtime, precision, threads: where they differ from the experiment's `measurement`.
    """

    name: Name
    runtime: RuntimeName | None = None
    precision: Precision | None = None
    threads: Threads | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    def settings(self, common: MeasurementSettings) -> MeasurementSettings:
        """How it is measured on: its own settings over those of the experiment."""
        own = self.model_dump(exclude={"name"}, exclude_none=True)
        return common.model_copy(update=own)

    @property
    def stage_name(self) -> str:
        """The name of the trial's stage that measures on it."""
        return name_on("measure", self.name)


def name_on(name: str, target: str) -> str:
    """`latency_ms` on this host, `latency_ms@rpi5` on another target."""
    return name if target == THIS_HOST else f"{name}@{target}"


def measured_metrics(
    targets: tuple[Target, ...], deployed: tuple[MetricDefinition, ...] = ()
) -> tuple[MetricDefinition, ...]:
    """What the `measure` stages on these targets give, the metrics of each under its name.

    What the architecture alone decides stands there once, given by the first of the stages.
    deployed: the search space's own metrics `by_device`.
    """
    return _on_devices(targets, deployed + DEVICE_METRICS) + ARCHITECTURE_METRICS


def optional_metrics(targets: tuple[Target, ...]) -> tuple[MetricDefinition, ...]:
    """What the `measure` stages on these targets may be asked for besides."""
    return _on_devices(targets, OPTIONAL_METRICS)


def _on_devices(
    targets: tuple[Target, ...], metrics: tuple[MetricDefinition, ...]
) -> tuple[MetricDefinition, ...]:
    return tuple(
        metric.model_copy(update={"name": name_on(metric.name, target.name), "target": target.name})
        for target in targets
        for metric in metrics
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:_KEY_DIGITS]
