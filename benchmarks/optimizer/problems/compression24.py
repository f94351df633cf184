"""A compression problem of 24 mixed parameters: error and latency of a pruned speech encoder.

A closed form in the manner of what pruning studies report, not a fit to one of them. Nine
parameters decide nearly everything and interact; the other fifteen together move the error by a
thirtieth of what these do, as a search space in practice has them. Deterministic.

Error: falls as a power of the weights that are left [Frantar2023], where the layers' sparsity
takes capacity by a factor that depends on block size and criterion, and collapses beyond a
critical sparsity; depth and width want a balance; the learning rate's optimum moves with width,
depth and batch size, and too large a rate diverges; few bits hurt sparse networks more.
Latency: multiply-accumulates at a rate that depends on the bits; sparse kernels pay only where
sparsity outweighs their overhead, which larger blocks lower; every layer has a fixed cost.

[Frantar2023] E. Frantar et al. Scaling Laws for Sparsely-Connected Foundation Models. 2023.
"""

import math
from typing import Final

from benchmarks.optimizer.problems.problem import Problem
from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    ChoiceParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    ParameterValue,
)
from service.domain.objective import Objective

_RELEVANT: tuple[Parameter, ...] = (
    IntParameter(name="layers", low=4, high=16),
    IntParameter(name="width", low=64, high=320, step=32),
    IntParameter(name="ffn_ratio", low=1, high=6),
    FloatParameter(name="attention_sparsity", low=0.0, high=0.95),
    FloatParameter(name="ffn_sparsity", low=0.0, high=0.95),
    ChoiceParameter(name="block_size", values=(1, 4, 8, 16, 32)),
    ChoiceParameter(name="weight_bits", values=(4, 6, 8, 16)),
    ChoiceParameter(
        name="pruning_criterion", values=("magnitude", "movement", "first_order", "random")
    ),
    FloatParameter(name="learning_rate", low=1e-4, high=1e-2, scale="log"),
)
_NEARLY_IRRELEVANT: tuple[Parameter, ...] = (
    IntParameter(name="heads", low=2, high=8),
    IntParameter(name="decoder_width", low=64, high=384, step=64),
    IntParameter(name="conv_kernel", low=3, high=15, step=2),
    IntParameter(name="warmup_epochs", low=0, high=10),
    IntParameter(name="batch_size", low=8, high=128, scale="log"),
    FloatParameter(name="decoder_sparsity", low=0.0, high=0.95),
    FloatParameter(name="weight_decay", low=1e-6, high=1e-1, scale="log"),
    FloatParameter(name="dropout", low=0.0, high=0.4),
    FloatParameter(name="label_smoothing", low=0.0, high=0.2),
    FloatParameter(name="distillation_weight", low=0.0, high=1.0),
    FloatParameter(name="pruning_start_share", low=0.0, high=0.6),
    FloatParameter(name="gradient_clip", low=0.1, high=10.0, scale="log"),
    ChoiceParameter(name="feature_bins", values=(40, 64, 80)),
    ChoiceParameter(name="activation", values=("relu", "gelu", "silu")),
    ChoiceParameter(name="rate_schedule", values=("linear", "cosine", "step", "constant")),
)

SPACE: Final = ParameterSpace(parameters=_RELEVANT + _NEARLY_IRRELEVANT)
"""10 floats, 8 ints, 3 ordered and 3 unordered choices."""

_KERNEL_OVERHEAD = {1: 2.6, 4: 1.9, 8: 1.5, 16: 1.25, 32: 1.12}
_BLOCK_HARM = {1: 0.0, 4: 0.02, 8: 0.05, 16: 0.10, 32: 0.18}
_CRITERION_HARM = {"movement": 0.0, "first_order": 0.02, "magnitude": 0.05, "random": 0.30}
_MS_PER_MEGA_MAC = {16: 0.022, 8: 0.0125, 6: 0.0120, 4: 0.0095}
_BITS_HARM = {16: 0.0, 8: 0.001, 6: 0.005, 4: 0.022}
_FRAMES = 50


def true_values(arm: Arm) -> dict[str, float]:
    """`error` (share, 0 to 1) and `latency_ms` of the arm."""
    return {"error": _error(arm.parameters), "latency_ms": _latency_ms(arm.parameters)}


def compression24() -> Problem:
    """The problem with exact values."""
    return Problem(
        name="compression24",
        description="24 mixed parameters, 15 nearly irrelevant; error and latency",
        space=SPACE,
        objectives=_OBJECTIVES,
        true_values=true_values,
        is_high_dimensional=True,
    )


def compression24_noisy() -> Problem:
    """The same with noise of known standard deviation, as of test set and stopwatch."""
    return Problem(
        name="compression24_noisy",
        description="compression24 with noise: sem 0.006 of error, 0.15 ms of latency",
        space=SPACE,
        objectives=_OBJECTIVES,
        true_values=true_values,
        noise_sd={"error": 0.006, "latency_ms": 0.15},
        is_high_dimensional=True,
    )


_OBJECTIVES = (
    Objective(metric="error", goal="minimize", threshold=0.18),
    Objective(metric="latency_ms", goal="minimize", threshold=4.0),
)

_Given = dict[str, ParameterValue]


def _number(given: _Given, name: str) -> float:
    return float(given[name])


def _macs_per_frame(given: _Given) -> tuple[float, float]:
    """Dense multiply-accumulates of a frame, in millions: attention, feed-forward."""
    layers, width, ratio = (_number(given, n) for n in ("layers", "width", "ffn_ratio"))
    square = layers * width**2 / 1e6
    return 4.0 * square, 2.0 * ratio * square


def _kernel_time(sparsity: float, block_size: int) -> float:
    """Time relative to the dense kernel; a smooth minimum of the dense and the sparse one."""
    sparse = _KERNEL_OVERHEAD[block_size] * (1.0 - sparsity) + 0.03
    sharpness = 12.0
    return -math.log(math.exp(-sharpness) + math.exp(-sharpness * sparse)) / sharpness


def _latency_ms(given: _Given) -> float:
    attention, feed_forward = _macs_per_frame(given)
    block_size = int(given["block_size"])
    encoder = attention * _kernel_time(_number(given, "attention_sparsity"), block_size)
    encoder += feed_forward * _kernel_time(_number(given, "ffn_sparsity"), block_size)
    decoder = (_number(given, "decoder_width") / 1e3) ** 2
    decoder *= _kernel_time(_number(given, "decoder_sparsity"), block_size)
    small = 0.004 * _number(given, "heads") + 0.003 * _number(given, "conv_kernel")
    small += 0.05 * _number(given, "feature_bins") / 80
    per_layer = 0.06 * _number(given, "layers")
    rate = _MS_PER_MEGA_MAC[int(given["weight_bits"])]
    return 0.4 + per_layer + small + _FRAMES * rate * (encoder + decoder)


def _weights_left(given: _Given) -> float:
    """Capacity in millions of dense-equivalent weights."""
    harm = _BLOCK_HARM[int(given["block_size"])] + _CRITERION_HARM[str(given["pruning_criterion"])]
    attention, feed_forward = _macs_per_frame(given)
    exponent = 0.45 + harm
    left = attention * math.pow(1.0 - _number(given, "attention_sparsity"), exponent + 0.15)
    return left + feed_forward * math.pow(1.0 - _number(given, "ffn_sparsity"), exponent)


def _error(given: _Given) -> float:
    harm = _size_harm(given) + _collapse_harm(given) + _bits_harm(given)
    harm += _rate_harm(given) + _small_harms(given)
    return 1.0 - 0.95 * math.exp(-harm)  # a share: it saturates at 1


def _size_harm(given: _Given) -> float:
    layers, width = _number(given, "layers"), _number(given, "width")
    imbalance = math.log(layers / 9.0) - 0.9 * math.log(width / 192.0)
    return 0.085 * math.pow(_weights_left(given), -0.42) + 0.022 * imbalance**2


def _collapse_harm(given: _Given) -> float:
    lost = _CRITERION_HARM[str(given["pruning_criterion"])]
    lost += 0.5 * _BLOCK_HARM[int(given["block_size"])]
    total = 0.0
    for name, critical in (("attention_sparsity", 0.80), ("ffn_sparsity", 0.90)):
        beyond = (_number(given, name) - critical + lost) / 0.04
        total += 0.030 * math.log1p(math.exp(min(beyond, 50.0)))
    return total


def _bits_harm(given: _Given) -> float:
    bits = _BITS_HARM[int(given["weight_bits"])]
    sparsity = 0.5 * (_number(given, "attention_sparsity") + _number(given, "ffn_sparsity"))
    return bits * (1.0 + 1.5 * sparsity**2)


def _rate_harm(given: _Given) -> float:
    best = -2.7 - 0.5 * math.log10(_number(given, "width") / 192.0)
    best -= 0.4 * math.log10(_number(given, "layers") / 9.0)
    best += 0.15 * math.log10(_number(given, "batch_size") / 32.0)
    off = math.log10(_number(given, "learning_rate")) - best
    diverging = max(0.0, off - 0.45)
    return 0.050 * off**2 + 0.9 * diverging**2


def _small_harms(given: _Given) -> float:
    def bowl(value: float, best: float, width: float) -> float:
        return 1.0 - math.exp(-(((value - best) / width) ** 2))

    total = 0.0030 * bowl(_number(given, "dropout"), 0.1, 0.2)
    total += 0.0015 * bowl(math.log10(_number(given, "weight_decay")), -2.5, 2.0)
    total += 0.0010 * bowl(_number(given, "label_smoothing"), 0.1, 0.1)
    total += 0.0025 * bowl(_number(given, "distillation_weight"), 0.6, 0.5)
    total += 0.0015 * bowl(_number(given, "pruning_start_share"), 0.3, 0.3)
    total += 0.0005 * bowl(math.log10(_number(given, "gradient_clip")), 0.0, 0.7)
    total += 0.0010 * bowl(_number(given, "warmup_epochs"), 4.0, 5.0)
    total += 0.0010 * bowl(_number(given, "conv_kernel"), 9.0, 5.0)
    total += 0.0008 * bowl(_number(given, "heads"), 5.0, 3.0)
    total += 0.0020 * (1.0 - _number(given, "decoder_width") / 384.0)
    total += 0.0020 * _number(given, "decoder_sparsity") ** 3
    total += {40: 0.0012, 64: 0.0003, 80: 0.0}[int(given["feature_bins"])]
    total += {"relu": 0.0012, "gelu": 0.0002, "silu": 0.0}[str(given["activation"])]
    schedules = {"linear": 0.0004, "cosine": 0.0, "step": 0.0010, "constant": 0.0030}
    return total + schedules[str(given["rate_schedule"])]
