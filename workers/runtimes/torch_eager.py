"""Torch itself, operation by operation: what a network costs where nothing is deployed."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.exporting import exporting
from workers.runtimes.runtime import ExportedNetwork
from workers.runtimes.torch_program import (
    TorchSession,
    export_program,
    load_program,
    use_threads,
)


class TorchEager:
    """Runs the operations of a program file one after the other, as the module itself would."""

    name: RuntimeName = "torch_eager"

    def version(self) -> str:
        """As `torch.__version__`."""
        return str(torch.__version__)

    def export(
        self,
        network: torch.nn.Module,
        example: tuple[torch.Tensor, ...],
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: Sequence[tuple[torch.Tensor, ...]] = (),
    ) -> ExportedNetwork:
        """Writes `network.pt2`; see `Runtime.export`."""
        path = folder / "network.pt2"
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            torch.export.save(export_program(network, example, precision), path)
            export_s = time.perf_counter() - start
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> TorchSession:
        """Loads `path`; `threads` holds for every torch session of this process."""
        program = load_program(self.name, path)
        use_threads(threads)
        # forward, not the call: the hooks around it check the shapes at every inference
        return TorchSession(
            program.module(check_guards=False).forward, len(program.graph_signature.user_inputs)
        )
