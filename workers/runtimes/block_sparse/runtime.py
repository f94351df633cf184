"""The runtime `block_sparse`: OpenVINO on the CPU, sparse linear layers by an operation of ours.

ONNX Runtime, OpenVINO and ExecuTorch multiply by zeros as by any number. Where at least half of a
linear layer's blocks of 16 outputs x 1 input are zero, it is computed here without them; all else
is OpenVINO's work, 1 x 1 convolutions too, in float32. What that gains, and from which sparsity on,
is in benchmarks/block_sparse.md.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import openvino

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.block_sparse.operator_library import operator_library, operator_version
from workers.runtimes.errors import LoadFailed
from workers.runtimes.exporting import exporting
from workers.runtimes.openvino import OpenVinoSession
from workers.runtimes.runtime import ExportedNetwork

if TYPE_CHECKING:
    import torch


class BlockSparse:
    """The runtime of networks that are pruned in blocks."""

    name: RuntimeName = "block_sparse"

    def version(self) -> str:
        """OpenVINO's, and that of the operation as it is compiled here."""
        return operator_version()

    def export(
        self,
        network: "torch.nn.Module",
        example: "tuple[torch.Tensor, ...]",
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: "Sequence[tuple[torch.Tensor, ...]]" = (),
    ) -> ExportedNetwork:
        """Writes `network.onnx`, its sparse layers without their zeros; see `Runtime.export`."""
        import torch  # noqa: PLC0415
        import torch.onnx.ops  # noqa: PLC0415
        from onnxscript import ir  # noqa: PLC0415

        from workers.runtimes.block_sparse.sparse_linears import (  # noqa: PLC0415
            replace_sparse_linears,
        )

        path = folder / "network.onnx"
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            program = torch.onnx.export(network, example, dynamo=True, verbose=False)
            assert program is not None  # noqa: S101  (with `dynamo` it never is)
            replace_sparse_linears(program.model)
            ir.save(program.model, path)
            export_s = time.perf_counter() - start
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> OpenVinoSession:
        """Loads `path`; sparse layers take one thread whatever `threads`; see `Runtime.load`.

        Raises: RuntimeMissing if the operation cannot be compiled on this machine.
        """
        path.stat()  # a file that is not there is not the network's fault: OSError
        core = openvino.Core()
        core.add_extension(operator_library())
        try:
            compiled = core.compile_model(
                core.read_model(path),
                "CPU",
                {
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": 1,
                    "ENABLE_CPU_PINNING": False,  # the measurement itself pins
                    # without it, processors that have bfloat16 compute in that
                    "INFERENCE_PRECISION_HINT": "f32",
                },
            )
        except RuntimeError as error:
            raise LoadFailed(f"block_sparse refuses {path.name}: {error}") from error
        return OpenVinoSession(compiled)
