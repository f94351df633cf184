"""Metrics: names with a unit and a good direction, and those that every measurement gives."""

from typing import Literal

from search_spaces.values import MetricName, Name, ShortText, Text, Value


class MetricDefinition(Value):
    """What a stage reports under `name`.

    target: the device that it tells of; None where it tells of none, or of any.
    by_device: of a search space's metric of the `measure` stage: the device or its runtime decides
        it, so that every target gives one of its own.
    """

    name: MetricName
    unit: ShortText = ""
    better: Literal["lower", "higher"] = "lower"
    stage: Literal["train", "measure", "external"] = "external"
    target: Name | None = None
    by_device: bool = False
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

ARCHITECTURE_METRICS: tuple[MetricDefinition, ...] = (
    _measured("weight_count", "weights", "Weights of the network."),
    _measured("macs", "MAC", "Multiply-accumulate operations of one inference."),
)
"""Given by the first `measure` stage of a trial: the same on every device."""

DEVICE_METRICS: tuple[MetricDefinition, ...] = (
    _measured("latency_ms", "ms", "Latency of one inference: median of pair ratios x reference."),
    _measured("latency_p50_ms", "ms", "Median wall time of one inference."),
    _measured("latency_p90_ms", "ms", "90th percentile of the wall time of one inference."),
    _measured("latency_p99_ms", "ms", "99th percentile of the wall time of one inference."),
    _measured("peak_memory_bytes", "B", "Rise of the process's peak resident set by the network."),
    _measured("file_size_bytes", "B", "Size of the exported network's file."),
    _measured("export_s", "s", "Time to export the network to the runtime."),
    _measured(
        "off_chip_bytes",
        "B",
        "A model, not a measurement: what one inference moves to and from memory in the precision "
        "measured in, if nothing stays on chip between two operators.",
    ),
)
"""Given by every `measure` stage, of the device that it measures on."""

OPTIONAL_METRICS: tuple[MetricDefinition, ...] = (
    _measured(
        "instruction_count",
        "instructions",
        "Machine instructions of one inference on one core, counted by Valgrind.",
    ),
    _measured("energy_mj", "mJ", "Energy of one inference, by a counter of the machine's."),
)
"""Given by a `measure` stage only if the experiment's objectives or constraints name them.

Each takes seconds more, and not every device can give it.
"""

MEASURED_METRICS: tuple[MetricDefinition, ...] = DEVICE_METRICS + ARCHITECTURE_METRICS
"""All that measuring a network on one device gives, for every search space.

None of them asks what a weight's value is.
"""
