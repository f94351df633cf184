"""The networks that are measured either way: encoders of some 0.5 and 5 ms."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workers.runtimes.registry import find_runtime


@dataclass(frozen=True)
class EncoderShape:
    """Of an encoder with 4 heads; its weights are 48 * layers * width ** 2 bytes."""

    layers: int
    width: int
    tokens: int

    @property
    def inputs(self) -> tuple[NDArray[Any], ...]:
        """One batch of one."""
        random = np.random.default_rng(0)
        return (random.standard_normal((1, self.tokens, self.width), np.float32),)


NETWORKS = {"small": EncoderShape(2, 128, 64), "large": EncoderShape(6, 256, 32)}
"""The small one's 1.6 MB of weights stay in a core's own caches, the large one's 19 MB do not."""


def export_network(name: str, folder: Path) -> Path:
    """Writes the encoder of this name as `name`.onnx."""
    shape = NETWORKS[name]
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        shape.width, 4, 4 * shape.width, batch_first=True, activation="gelu"
    )
    network = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False).eval()
    torch.backends.mha.set_fastpath_enabled(False)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.05)
    inputs = tuple(map(torch.from_numpy, shape.inputs))
    exported = find_runtime("onnxruntime").export(network, inputs, folder)
    return exported.path.rename(folder / f"{name}.onnx")
