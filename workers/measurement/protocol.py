"""How a network was measured: travels with every figure, so that it can be judged and repeated."""

from datetime import datetime
from typing import Any, Literal

from search_spaces.values import Value
from service.domain.device import DeviceProfile
from workers.measurement.disturbed_pairs import DisturbedPairs
from workers.measurement.noise import Noise
from workers.measurement.on_device import AcceleratorNote


class ReferenceTiming(Value):
    """The network that the latency is a multiple of, and what it is taken to last."""

    name: str
    latency_ms: float
    sem_ms: float
    calibrated_at: datetime


class Protocol(Value):
    """The protocol of one `measure` stage.

    latency: `latency_ms` is the median of (candidate / reference) by `clock`, times
        `reference.latency_ms`, over geometric means of two successive pairs, in which the two take
        turns at going first; its sem is a bootstrap over rounds, each of freshly loaded sessions.
    slow rounds: each round is taken on the core that a short product of matrices is quickest on
        just then. `slow_core_rounds` of all `rounds` were on cores a fifth slower than the device
        is known to be (`quickest_pace_ns`, of that product; `pace_ns` this time at best).
        These, and rounds in which the reference took 15 % longer than in the quicker ones, are the
        `slow_rounds` left out, unless there were too few others; `pairs` are those of the rest.
    warm-up: of both networks in turn, in each round, until the medians of blocks of their ratios
        show no trend (Mann-Kendall); `unsettled_rounds` were taken all the same.
    disturbance: pairs `set_aside` were timed again; those `counted` were disturbed too, but by then
        as many had been set aside as may be. `noisy`: more than a tenth of all pairs are such, or
        too few rounds were on cores that were not slow, or `reference_slowdown` is over 1.25:
        so many times as long the reference took as in the device's quickest calibration, for
        others take the memory or the cache that networks beyond a core's own caches need.
        What the kernel does not tell (not in `watched`) is not noticed.
    confidence: "confidence" if the 95 % interval came within +-`relative_ci` of the median,
        "time_limit" if time ran out first; `relative_half_width` is what was reached.
    quantiles of wall time: over `single_runs` runs, each timed by itself, back to back.
    off_chip_bytes: a model of the dense network in `precision`, operator by operator.
    optional_metrics: how each of those that were asked for was taken, by its bare name.
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
    unsettled_rounds: int
    rounds: int
    slow_rounds: int
    slow_core_rounds: int
    pace_ns: float | None
    quickest_pace_ns: float | None
    pairs: int
    candidate_repeats: int
    reference_repeats: int
    single_runs: int
    watched: tuple[str, ...]
    set_aside: DisturbedPairs
    counted: DisturbedPairs
    noisy: bool
    ended_by: Literal["confidence", "time_limit"]
    relative_half_width: float
    relative_ci: float
    seed: int
    reference: ReferenceTiming
    reference_slowdown: float
    agreement_inputs: int
    agreement_worst_relative_error: float
    agreement_tolerance: float
    peak_memory_method: str
    macs_of: Literal["the dense network"] = "the dense network"
    optional_metrics: dict[str, str] = {}
    noise: Noise
    device: DeviceProfile
    accelerator: AcceleratorNote | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.model_dump(mode="json")
