"""OpenVINO on the CPU; NNCF, its own quantiser, makes the int8 forms.

Loading and running imports neither torch nor NNCF.
"""

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from numpy.typing import NDArray

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.errors import LoadFailed, PrecisionMissing
from workers.runtimes.exporting import exporting
from workers.runtimes.packing import Damaged, pack, unpacked
from workers.runtimes.runtime import ExportedNetwork, Inputs

if TYPE_CHECKING:
    import torch

_FILES = ("network.xml", "network.bin")
_PRECISION = "archfront_precision"  # in the file's own table of facts (`rt_info`)

# By default OpenVINO computes in bf16 wherever the processor can: here the precision is asked for.
_HINTS = {"bf16": openvino.Type.bf16, "fp16": openvino.Type.f16}


class OpenVino:
    """Intel's runtime."""

    name: RuntimeName = "openvino"

    def version(self) -> str:
        """As the distribution's metadata tells."""
        return version("openvino")

    def export(
        self,
        network: "torch.nn.Module",
        example: "tuple[torch.Tensor, ...]",
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: "Sequence[tuple[torch.Tensor, ...]]" = (),
    ) -> ExportedNetwork:
        """Writes `network.openvino.zip`, the pair of files of an OpenVINO network.

        bf16, fp16: the weights stay in fp32 in the file and are converted when it is loaded.
        int8_dynamic: matrix products in int8; convolutions in fp32, their weights kept in int8.
        """
        import torch  # noqa: PLC0415

        if precision.startswith("int8"):
            from workers.runtimes.openvino_quantization import quantize  # noqa: PLC0415

        path = folder / "network.openvino.zip"
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            # Traced, for torch.export's program has an LSTM unrolled into its steps; but a trace
            # freezes branches that depend on the data, which torch.export refuses.
            torch.export.export(network, example, strict=False)
            model = openvino.convert_model(network, example_input=example)
            model.reshape({place: list(one.shape) for place, one in enumerate(example)})
            if precision.startswith("int8"):
                model = quantize(model, precision, calibration_inputs)
            model.set_rt_info(precision, _PRECISION)
            openvino.save_model(model, folder / _FILES[0], compress_to_fp16=False)
            pack(path, folder, _FILES)
            export_s = time.perf_counter() - start
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> "OpenVinoSession":
        """Compiles `path` for one stream of so many threads; see `Runtime.load`."""
        try:
            with unpacked(path) as folder:
                core = openvino.Core()
                model = core.read_model(folder / _FILES[0])
                precision = model.get_rt_info([_PRECISION]).astype(str)
                compiled = core.compile_model(
                    model,
                    "CPU",
                    {
                        "INFERENCE_NUM_THREADS": threads,
                        "NUM_STREAMS": 1,
                        "ENABLE_CPU_PINNING": False,  # the measurement itself pins
                        "INFERENCE_PRECISION_HINT": _HINTS.get(precision, openvino.Type.f32),
                    },
                )
        except (Damaged, RuntimeError) as error:
            raise LoadFailed(f"openvino refuses {path.name}: {error}") from error
        # Asked for what the processor has not, it silently computes in something else.
        if precision in _HINTS and (
            compiled.get_property("INFERENCE_PRECISION_HINT") != _HINTS[precision]
        ):
            raise PrecisionMissing(
                f"this worker's processor does not compute in {precision} under openvino; set "
                "measurement.precision to fp32, or measure on a processor that does"
            )
        return OpenVinoSession(compiled)


class OpenVinoSession:
    """A compiled network; see `Session`."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._request = compiled.create_infer_request()
        self._inputs = len(compiled.inputs)
        self._outputs = len(compiled.outputs)

    def prepare(self, inputs: Inputs) -> None:
        """Hands the inputs' memory to the request."""
        if self._inputs != len(inputs):
            raise ValueError(f"the network takes {self._inputs} inputs, {len(inputs)} were given")
        for place, value in enumerate(inputs):
            tensor = openvino.Tensor(np.ascontiguousarray(value))
            self._request.set_input_tensor(place, tensor)

    def invoke(self) -> None:
        """One inference; see `Session.invoke`."""
        self._request.infer(share_outputs=True)  # by default it copies them, which counts as work

    def answers(self) -> list[NDArray[Any]]:
        """See `Session.answers`."""
        return [
            self._request.get_output_tensor(place).data.copy() for place in range(self._outputs)
        ]

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """See `Session.run`."""
        self.prepare(inputs)
        self.invoke()
        return self.answers()
