"""Turns an OpenVINO model into one of int8, by NNCF, OpenVINO's own quantiser."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import nncf
import numpy as np
import openvino
from nncf.quantization.range_estimator import RangeEstimatorParametersSet

from service.domain.runtimes import Precision

if TYPE_CHECKING:
    import torch


def quantize(
    model: openvino.Model,
    precision: Precision,
    calibration_inputs: "Sequence[tuple[torch.Tensor, ...]]",
) -> openvino.Model:
    """The int8 form of `model`.

    int8_dynamic: NNCF's compression of weights, one scale for each channel; the runtime then takes
        the ranges of activations at each inference.
    int8_static: all but softmax and layer norms (NNCF's type "transformer").
    LSTMs compute in fp32 in both.
    Raises: ValueError if that leaves nothing in int8.
    """
    if precision == "int8_dynamic":
        quantised = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
        return _checked(quantised, precision)
    inputs = [tuple(np.ascontiguousarray(value) for value in one) for one in calibration_inputs]
    # From a handful of inputs: the extremes themselves, for NNCF's mean of each input's extremes
    # clipped (error of an encoder 0.52 of the outputs' scale, so 0.013); no smoothing of outliers
    # and no correction of biases, which estimate from hundreds.
    advanced = nncf.AdvancedQuantizationParameters(
        disable_bias_correction=True,
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1),
    )
    quantised = nncf.quantize(
        model,
        nncf.Dataset(inputs),
        subset_size=len(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        advanced_parameters=advanced,
    )
    return _checked(quantised, precision)


def _checked(model: openvino.Model, precision: Precision) -> openvino.Model:
    for operation in model.get_ops():
        of_int8 = operation.get_output_element_type(0) == openvino.Type.i8
        if operation.get_type_name() == "FakeQuantize" or of_int8:
            return model
    raise ValueError(f"no layer of it has a form in {precision}; measure it in fp32")
