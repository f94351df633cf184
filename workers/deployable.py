"""The deployable file of a trained network that was measured before it was trained."""

from pathlib import Path
from typing import TYPE_CHECKING

from service.domain.device import MeasurementSettings
from workers.measurement.agreement import TOLERANCES, check_agreement
from workers.runtimes.errors import RuntimeMissing
from workers.runtimes.registry import find_runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


def export_trained(
    network: "torch.nn.Module",
    inputs: "Sequence[tuple[torch.Tensor, ...]]",
    settings: MeasurementSettings,
    folder: Path,
) -> Path | None:
    """The network's file for the runtime it was measured in, its answers compared with torch's.

    None where this worker does not have that runtime: the weights then are all that is kept.
    Raises: ExportFailed, LoadFailed, ExportDisagrees, AnswersNotFinite (the arm's own fault).
    """
    try:
        runtime = find_runtime(settings.chosen_runtime)
    except RuntimeMissing:
        return None
    exported = runtime.export(network.eval(), inputs[0], folder, settings.precision, inputs)
    check_agreement(
        network,
        runtime.load(exported.path, settings.threads),
        inputs,
        TOLERANCES[settings.precision],
    )
    return exported.path
