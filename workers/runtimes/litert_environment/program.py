"""Converts a torch program (`.pt2`) to a `.tflite` file: `python program.py ORDER`.

Run by the Python of the converter's environment, where nothing of ours can be imported.

ORDER, in JSON: `program` and `network`, the paths to read and to write; `precision`;
`calibration`, the path of a `.npz` file with an array `N-M` for the M-th input of the N-th real
example, or null.
"""

import json
import sys
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import read_model_from_bytearray
from ai_edge_quantizer.calibrator import Calibrator
from ai_edge_quantizer.qtyping import TFLOperationName
from ai_edge_quantizer.quantizer import AlgorithmName, Quantizer
from ai_edge_quantizer.recipe_manager import RecipeManager
from ai_edge_quantizer.utils.qsv_utils import min_max_update
from torch.utils._pytree import tree_leaves

_SIGNATURE = "serving_default"  # as litert-torch calls the only one
_NARROWED = {"int64": "int32", "float64": "float32"}  # as litert-torch does

# What lies between these stays in floats: the range of a masked sum would be all mask.
_STATIC_OPERATIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")


class Named(torch.nn.Module):
    """The program with flat answers, called `answer_N_TYPE` with torch's name of the type."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self.program = program.module()
        self.training = False  # an exported module refuses `eval()`: it is in it for good

    def forward(self, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """See the class."""
        leaves = tree_leaves(self.program(*inputs))
        answers = [one for one in leaves if isinstance(one, torch.Tensor)]
        return {
            f"answer_{place}_{str(one.dtype).removeprefix('torch.')}": one
            for place, one in enumerate(answers)
        }


def convert(order: dict[str, Any]) -> None:
    """Does what the order says.

    Raises: ValueError if no layer has a form in the precision; whatever the converter raises;
        ImportError if the program cannot be read.
    """
    try:
        program = torch.export.load(order["program"])
    except Exception as error:  # another torch wrote it, which is no fault of the network
        told = f"torch {torch.__version__} cannot read the worker's program: {error}"
        raise ImportError(" ".join(told.split())) from error
    example, _ = program.example_inputs
    network = Path(order["network"])
    litert_torch.convert(Named(program), example).export(str(network))
    if order["precision"] != "fp32":
        network.write_bytes(quantized(network, order["precision"], order["calibration"]))


def quantized(network: Path, precision: str, calibration: str | None) -> bytes:
    """The network in `precision`, its inputs and outputs as they were. Raises: ValueError."""
    recipe, every, ranges = RecipeManager(), TFLOperationName.ALL_SUPPORTED, None
    if precision == "fp16":
        recipe.add_weight_only_config(
            ".*", every, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
        )
    elif precision == "int8_dynamic":
        recipe.add_dynamic_config(".*", every, num_bits=8)
    else:
        for name in _STATIC_OPERATIONS:
            operation = TFLOperationName[name]
            recipe.add_static_config(".*", operation, activation_num_bits=8, weight_num_bits=8)
        # By default ranges are a moving average, in which the first example outweighs all others.
        calibrator = Calibrator(network.read_bytes(), num_threads=1, qsv_update_func=min_max_update)
        calibrator.calibrate({_SIGNATURE: _examples(calibration)}, recipe)
        ranges = calibrator.get_model_qsvs()
    quantizer = Quantizer(str(network), recipe.get_quantization_recipe())
    content = bytes(quantizer.quantize(ranges).quantized_model)
    kind = schema.TensorType.FLOAT16 if precision == "fp16" else schema.TensorType.INT8
    graphs = read_model_from_bytearray(bytearray(content)).subgraphs
    if not any(tensor.type == kind for graph in graphs for tensor in graph.tensors):
        raise ValueError(f"no layer of it has a form in {precision}")
    return content


def _examples(calibration: str | None) -> list[dict[str, Any]]:
    if calibration is None:
        raise ValueError("calibration is null; int8_static takes its ranges from real inputs")
    rows: dict[int, dict[str, Any]] = {}
    with np.load(calibration) as arrays:
        for name, array in arrays.items():
            row, _, place = name.partition("-")
            kind = _NARROWED.get(array.dtype.name, array.dtype.name)
            rows.setdefault(int(row), {})[f"args_{place}"] = array.astype(kind)
    return [rows[row] for row in sorted(rows)]


if __name__ == "__main__":
    convert(json.loads(sys.argv[1]))
