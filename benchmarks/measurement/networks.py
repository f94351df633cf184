"""Exports what is measured, once: two encoders, twelve of the NLU space, the references."""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from search_spaces.arm import Arm
from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from search_spaces.language.nlu_encoder.training import recipe
from search_spaces.recipe import TrainingContext
from workers.measurement.reference_network import (
    ReferenceShape,
    build_reference,
    reference_for,
    reference_input,
)
from workers.runtimes.onnxruntime import OnnxRuntime
from workers.training.scattered_weights import scatter_weights

NLU_COUNT = 12
_SHAPES = {
    "encoder": (4, 384, 32),
    "encoder-small": (2, 128, 64),
    "encoder-small-long": (2, 128, 384),
}
"""Layers, width and tokens: 28 MB and 5 ms; 1.6 MB and 0.5 ms; 1.6 MB and 5 ms."""


def export_encoder(folder: Path, name: str = "encoder") -> Path:
    """The encoder of this name; see `export`."""
    layers, width, tokens = _SHAPES[name]
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True, activation="gelu")
    network = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).eval()
    torch.backends.mha.set_fastpath_enabled(False)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.05)
    return export(network, (torch.randn(1, tokens, width),), folder / name)


def export_reference(network: Path, folder: Path) -> Path:
    """The reference that the protocol pairs the exported `network` with; see `export`."""
    shape: ReferenceShape = reference_for((network / "network.onnx").stat().st_size)
    return export(build_reference(shape), reference_input(), folder / shape.name)


def nlu_arms(seed: int) -> list[Arm]:
    """`NLU_COUNT` different arms of the search space with encoders drawn from all that it has."""
    drawing = random.Random(seed)
    arms: list[Arm] = []
    while len(arms) < NLU_COUNT:
        given = SEARCH_SPACE.baseline.parameters | {
            "embedding_dim": drawing.choice((16, 48, 96)),
            "width": 32 * drawing.randint(1, 6),
            "layers": drawing.randint(1, 5),
            "ffn_ratio": drawing.choice((1.0, 2.0, 3.0)),
            "conv_layers": drawing.randint(1, 2),
        }
        if SEARCH_SPACE.space.problems_with(given):
            continue
        arm = SEARCH_SPACE.space.canonical(given)
        if arm not in arms:
            arms.append(arm)
    return arms


def export_nlu(arms: Sequence[Arm], folder: Path) -> list[Path]:
    """Their networks, untrained: latency does not depend on the weights; see `export`."""
    paths = []
    for index, arm in enumerate(arms):
        target = folder / f"nlu-{index}"
        network = recipe().build(arm)
        scatter_weights(network, index)
        with tempfile.TemporaryDirectory() as work:
            context = TrainingContext(index, folder / "data", Path(work))
            (inputs,) = recipe().example_inputs(arm, 1, context)
        paths.append(export(network.eval(), inputs, target))
    return paths


def export(network: nn.Module, inputs: tuple[torch.Tensor, ...], folder: Path) -> Path:
    """The folder with `network.onnx` and `inputs.npz`, as it was if it is there already."""
    if not (folder / "inputs.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        OnnxRuntime().export(network, inputs, folder)
        np.savez(folder / "inputs.npz", *(tensor.numpy() for tensor in inputs))
    return folder
