"""ONNX Runtime on the CPU; exports through torch.onnx's exporter on top of torch.export.

Why this exporter and not the quicker, deprecated one: docs/decisions/0003-onnx-export.md.
Loading and running imports no torch.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.errors import LoadFailed
from workers.runtimes.exporting import exporting
from workers.runtimes.runtime import ExportedNetwork, Inputs

if TYPE_CHECKING:
    import torch

_LOG_ERRORS = 3  # onnxruntime's severity: warnings tell of optimisations it tried in vain


class OnnxRuntime:
    """The default runtime."""

    name: RuntimeName = "onnxruntime"

    def version(self) -> str:
        """As `onnxruntime.__version__`."""
        return str(onnxruntime.__version__)

    def export(
        self,
        network: "torch.nn.Module",
        example: "tuple[torch.Tensor, ...]",
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: "Sequence[tuple[torch.Tensor, ...]]" = (),
    ) -> ExportedNetwork:
        """Writes `network.onnx`, its weights inside; see `Runtime.export`."""
        import onnxscript  # noqa: F401, PLC0415  (imported here, it does not count as export)
        import torch  # noqa: PLC0415
        import torch.onnx.ops  # noqa: PLC0415

        if precision != "fp32":
            from workers.runtimes.onnx_quantization import quantize  # noqa: PLC0415

        path = folder / "network.onnx"
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            torch.onnx.export(
                network, example, path, dynamo=True, external_data=False, verbose=False
            )
            if precision != "fp32":
                quantize(path, precision, calibration_inputs)
            export_s = time.perf_counter() - start
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> "OnnxRuntimeSession":
        """Loads `path` with all graph optimisations; see `Runtime.load`."""
        path.stat()  # a file that is not there is not the network's fault: OSError
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _LOG_ERRORS
        try:
            session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except (MemoryError, OSError):
            raise
        except Exception as error:
            raise LoadFailed(f"onnxruntime refuses {path.name}: {error}") from error
        return OnnxRuntimeSession(session)


class OnnxRuntimeSession:
    """A loaded ONNX network; see `Session`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._binding = session.io_binding()

    def prepare(self, inputs: Inputs) -> None:
        """Binds the inputs' memory; the outputs are allocated by the runtime."""
        binding = self._session.io_binding()
        expected = self._session.get_inputs()
        if len(expected) != len(inputs):
            raise ValueError(f"the network takes {len(expected)} inputs, {len(inputs)} were given")
        for described, value in zip(expected, inputs, strict=True):
            array = np.ascontiguousarray(value)
            binding.bind_ortvalue_input(
                described.name, onnxruntime.OrtValue.ortvalue_from_numpy(array)
            )
        for described in self._session.get_outputs():
            binding.bind_output(described.name, "cpu")
        self._binding = binding

    def invoke(self) -> None:
        """One inference; see `Session.invoke`."""
        self._session.run_with_iobinding(self._binding)

    def answers(self) -> list[NDArray[Any]]:
        """See `Session.answers`."""
        return list(self._binding.copy_outputs_to_cpu())

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """See `Session.run`."""
        self.prepare(inputs)
        self.invoke()
        return self.answers()
