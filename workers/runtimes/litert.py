"""LiteRT, formerly TensorFlow Lite, on the CPU with its XNNPACK delegate.

Loading and running imports no torch.
"""

import re
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.errors import LoadFailed
from workers.runtimes.exporting import exporting
from workers.runtimes.runtime import ExportedNetwork, Inputs

if TYPE_CHECKING:
    import torch

_NAME = re.compile(r"args_\d+|answer_\d+_[a-z]+\d*")


class LiteRt:
    """Google's runtime of phones."""

    name: RuntimeName = "litert"

    def version(self) -> str:
        """As the distribution's metadata tells."""
        return version("ai-edge-litert")

    def export(
        self,
        network: "torch.nn.Module",
        example: "tuple[torch.Tensor, ...]",
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: "Sequence[tuple[torch.Tensor, ...]]" = (),
    ) -> ExportedNetwork:
        """Writes `network.tflite`; see `Runtime.export`.

        What is 64 bits wide in torch is 32 in the file, as phones have it; the names of the outputs
        tell what they were, and sessions widen them again.
        fp16: the weights are kept in it, in half the space, and widened when the file is loaded.
        int8: on x86 it gains time in products of matrices and loses it in small convolutions.
        The converter starts anew for each network, which counts into `export_s`.
        """
        import torch  # noqa: F401, PLC0415  (imported here, it does not count as export)

        from workers.runtimes.litert_conversion import convert  # noqa: PLC0415
        from workers.runtimes.litert_environment.converter import converter_python  # noqa: PLC0415

        path = folder / "network.tflite"
        python = converter_python()
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            convert(network, example, path, precision, calibration_inputs, python=python)
            export_s = time.perf_counter() - start
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> "LiteRtSession":
        """Loads `path`; see `Runtime.load`."""
        path.stat()  # a file that is not there is not the network's fault: OSError
        try:
            interpreter = Interpreter(str(path), num_threads=threads)
            interpreter.allocate_tensors()
            return LiteRtSession(interpreter)
        except (ValueError, RuntimeError) as error:
            raise LoadFailed(f"litert refuses {path.name}: {error}") from error


class LiteRtSession:
    """A loaded `.tflite` network; see `Session`."""

    def __init__(self, interpreter: Interpreter) -> None:
        """Raises: ValueError if the file is not one of ours."""
        self._interpreter = interpreter
        signature = interpreter.get_signature_runner()
        inputs, outputs = signature.get_input_details(), signature.get_output_details()
        if strangers := [name for name in (*inputs, *outputs) if not _NAME.fullmatch(name)]:
            raise ValueError(f"it was not exported here: its {strangers[0]!r} is none of our names")
        self._inputs = [inputs[name] for name in sorted(inputs, key=_place)]
        self._outputs = [
            (outputs[name]["index"], name.rpartition("_")[2])
            for name in sorted(outputs, key=_place)
        ]

    def prepare(self, inputs: Inputs) -> None:
        """Copies the inputs into the runtime's memory, in its types."""
        if len(self._inputs) != len(inputs):
            raise ValueError(
                f"the network takes {len(self._inputs)} inputs, {len(inputs)} were given"
            )
        for described, value in zip(self._inputs, inputs, strict=True):
            array = np.asarray(value, dtype=described["dtype"], order="C")
            self._interpreter.set_tensor(described["index"], array)

    def invoke(self) -> None:
        """One inference; see `Session.invoke`."""
        self._interpreter.invoke()

    def answers(self) -> list[NDArray[Any]]:
        """See `Session.answers`."""
        return [
            np.asarray(self._interpreter.get_tensor(index), dtype=dtype)
            for index, dtype in self._outputs
        ]

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """See `Session.run`."""
        self.prepare(inputs)
        self.invoke()
        return self.answers()


def _place(name: str) -> int:
    return int(name.split("_")[1])
