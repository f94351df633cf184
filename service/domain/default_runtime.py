"""Which runtime networks are measured in where nobody names one: docs/decisions/0019."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.runtimes import (
    DEFAULT_RUNTIME,
    RUNTIME_PRECISIONS,
    ZERO_SKIPPING_RUNTIMES,
    Precision,
    RuntimeName,
)

TRIAL_S = 60.0
"""What a short trial takes beside the export: an export as long as it doubles the price."""


@dataclass(frozen=True)
class RuntimeCost:
    """Of one network in one runtime and precision.

    export_s: CPU seconds of a process's first export.
    latency: as a multiple of any one network's, the same for all that are compared.
    """

    export_s: float
    latency: float

    @property
    def price(self) -> float:
        """What is to be least: the latency, dearer by what share of a trial its export takes."""
        return self.latency * (1 + self.export_s / TRIAL_S)


COSTS: Mapping[tuple[RuntimeName, Precision], RuntimeCost] = {
    ("onnxruntime", "fp32"): RuntimeCost(4.48, 1.04),
    ("onnxruntime", "int8_dynamic"): RuntimeCost(5.18, 0.70),
    ("onnxruntime", "int8_static"): RuntimeCost(6.10, 1.06),
    ("openvino", "fp32"): RuntimeCost(3.95, 0.74),
    ("openvino", "bf16"): RuntimeCost(3.70, 0.46),
    ("openvino", "fp16"): RuntimeCost(4.25, 1.25),
    ("openvino", "int8_dynamic"): RuntimeCost(7.64, 0.94),
    ("openvino", "int8_static"): RuntimeCost(7.04, 0.61),
    ("executorch", "fp32"): RuntimeCost(18.2, 1.27),
    ("ncnn", "fp32"): RuntimeCost(3.68, 1.04),
    ("ncnn", "fp16"): RuntimeCost(2.70, 1.07),
    ("litert", "fp32"): RuntimeCost(15.9, 0.61),
    ("litert", "fp16"): RuntimeCost(16.5, 0.62),
    ("litert", "int8_dynamic"): RuntimeCost(15.2, 0.29),
    ("litert", "int8_static"): RuntimeCost(16.4, 0.62),
    ("torch_eager", "fp32"): RuntimeCost(2.48, 3.24),
    ("torch_eager", "bf16"): RuntimeCost(2.17, 4.62),
    ("aotinductor", "fp32"): RuntimeCost(32.5, 1.71),
    ("aotinductor", "bf16"): RuntimeCost(17.6, 1.88),
}
"""Measured on the reference network: benchmarks/runtimes/results.md, "Encoder"."""


def default_runtime(
    offered: Iterable[str],
    precisions: Sequence[Precision],
    costs: Mapping[tuple[RuntimeName, Precision], RuntimeCost] = COSTS,
) -> RuntimeName:
    """The runtime of least price, over all of these precisions, among those offered.

    Runtimes that skip zeros are never chosen: in them a latency depends on the training. Where none
    that is offered has the precisions, the best is chosen that a worker might yet bring; where
    none at all has them, the usual one. Equal prices go by the order of `RUNTIME_PRECISIONS`; a
    runtime without a known cost comes last.
    """
    able = [
        runtime
        for runtime, has in RUNTIME_PRECISIONS.items()
        if set(precisions) <= set(has) and runtime not in ZERO_SKIPPING_RUNTIMES
    ]
    known = set(offered)
    here = [runtime for runtime in able if runtime in known]

    def price(runtime: RuntimeName) -> float:
        known_costs = [costs.get((runtime, precision)) for precision in precisions]
        return sum(cost.price if cost else float("inf") for cost in known_costs)

    if not able or (not here and DEFAULT_RUNTIME in able):
        return DEFAULT_RUNTIME
    return min(here or able, key=price)
