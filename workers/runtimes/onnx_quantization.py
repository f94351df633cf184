"""Turns an exported ONNX network into one of int8, by ONNX Runtime's own quantiser."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from service.domain.runtimes import Precision

if TYPE_CHECKING:
    import torch

_QUANTISED = {"DynamicQuantizeLSTM", "DynamicQuantizeLinear", "QuantizeLinear"}


def quantize(
    path: Path, precision: Precision, calibration_inputs: "Sequence[tuple[torch.Tensor, ...]]"
) -> None:
    """Overwrites the network at `path` with its int8 form.

    int8_dynamic: weights of matrix products and LSTMs in int8, one scale for each channel.
        Convolutions stay in fp32: ONNX Runtime's dynamic ones took ten times as long.
    int8_static: matrix products and convolutions, their activations too. LSTMs stay in fp32:
        the quantiser has no static ones.
    Raises: ValueError if that leaves nothing in int8.
    """
    # Folds batch norms into convolutions, and what else the weights hide behind.
    quant_pre_process(path, path, skip_symbolic_shape=True)
    if precision == "int8_dynamic":
        quantize_dynamic(
            path,
            path,
            op_types_to_quantize=["MatMul", "Gemm", "LSTM"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    else:
        quantize_static(
            path,
            path,
            _RealInputs(path, calibration_inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    if not _QUANTISED & {node.op_type for node in onnx.load(path).graph.node}:
        raise ValueError(f"no layer of it has a form in {precision}; measure it in fp32")


class _RealInputs(CalibrationDataReader):  # type: ignore[misc]  # the package has no hints
    def __init__(self, path: Path, inputs: "Sequence[tuple[torch.Tensor, ...]]") -> None:
        names = [given.name for given in onnx.load(path).graph.input]
        self._inputs: Iterator[dict[str, NDArray[Any]]] = (
            {name: np.ascontiguousarray(value) for name, value in zip(names, one, strict=True)}
            for one in inputs
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next input by name; None after the last."""
        return next(self._inputs, None)
