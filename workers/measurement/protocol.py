"""How a network was measured: travels with every figure, so that it can be judged and repeated."""

from datetime import datetime
from typing import Any, Literal

from search_spaces.values import Value
from workers.measurement.device_profile import DeviceProfile


class ReferenceTiming(Value):
    """The network that the latency is a multiple of, and what it is taken to last."""

    name: str
    latency_ms: float
    sem_ms: float
    calibrated_at: datetime


class Noise(Value):
    """What else went on: not corrected for, but told.

    involuntary_switches: how often the kernel took the core from the measuring process.
    cpu_pressure_percent: share of the last 10 s in which some task waited for a core (Linux PSI),
        at the end; None where the kernel does not tell.
    load_average: of the last minute, at the end.
    """

    involuntary_switches: int
    cpu_pressure_percent: float | None
    load_average: float


class Protocol(Value):
    """The protocol of one `measure` stage.

    latency: `latency_ms` is the median over pairs of (candidate / reference) by `clock`, times
        `reference.latency_ms`; its sem is a bootstrap over rounds, each of freshly loaded sessions.
    confidence: "confidence" if the 95 % interval came within +-`relative_ci` of the median,
        "time_limit" if time ran out first; `relative_half_width` is what was reached.
    quantiles of wall time: over `single_runs` runs, each timed by itself, back to back.
    peak memory: rise over the baseline in each fresh process, the mean of which is the figure.
    """

    runtime: str
    runtime_version: str
    precision: str
    threads: int
    batch: int
    input_shapes: tuple[tuple[int, ...], ...]
    pinned_cores: tuple[int, ...] | None
    clock: str
    warm_up_runs: int
    rounds: int
    pairs: int
    candidate_repeats: int
    reference_repeats: int
    single_runs: int
    ended_by: Literal["confidence", "time_limit"]
    relative_half_width: float
    relative_ci: float
    seed: int
    reference: ReferenceTiming
    agreement_inputs: int
    agreement_worst_relative_error: float
    agreement_tolerance: float
    peak_memory_method: str
    macs_of: Literal["the dense network"] = "the dense network"
    noise: Noise
    device: DeviceProfile

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.model_dump(mode="json")
