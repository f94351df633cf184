"""Metrics: names with a unit and a good direction, and those that every measurement gives."""

from typing import Literal

from search_spaces.values import Name, ShortText, Text, Value


class MetricDefinition(Value):
    """What a stage reports under `name`."""

    name: Name
    unit: ShortText = ""
    better: Literal["lower", "higher"] = "lower"
    stage: Literal["train", "measure", "external"] = "external"
    description: Text = ""


def _measured(name: str, unit: str, description: str) -> MetricDefinition:
    return MetricDefinition(
        name=name, unit=unit, better="lower", stage="measure", description=description
    )


TRAINED_METRICS: tuple[MetricDefinition, ...] = (
    MetricDefinition(
        name="nonzero_weight_count",
        unit="weights",
        better="lower",
        stage="train",
        description="Weights of the trained network that are not zero.",
    ),
)
"""Counted by every `train` stage, for every search space: they depend on the trained weights."""

MEASURED_METRICS: tuple[MetricDefinition, ...] = (
    _measured("latency_ms", "ms", "Latency of one inference: median of pair ratios x reference."),
    _measured("latency_p50_ms", "ms", "Median wall time of one inference."),
    _measured("latency_p90_ms", "ms", "90th percentile of the wall time of one inference."),
    _measured("latency_p99_ms", "ms", "99th percentile of the wall time of one inference."),
    _measured("peak_memory_bytes", "B", "Rise of the process's peak resident set by the network."),
    _measured("file_size_bytes", "B", "Size of the exported network's file."),
    _measured("weight_count", "weights", "Weights of the network."),
    _measured("macs", "MAC", "Multiply-accumulate operations of one inference."),
    _measured("export_s", "s", "Time to export the network to the runtime."),
)
"""Given by every `measure` stage, for every search space; none asks what a weight's value is."""
