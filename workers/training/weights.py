"""Keeps a network's weights as safetensors: plain numbers, nothing that can be executed."""

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_model, save_model

if TYPE_CHECKING:
    import torch


def save_weights(network: "torch.nn.Module", path: Path) -> None:
    """Writes the network's state; tensors that several names share are kept once."""
    save_model(network.cpu(), str(path))


def load_weights(network: "torch.nn.Module", path: Path) -> None:
    """Sets the network's state to the saved one.

    Raises: RuntimeError, naming the keys, if the file is of another architecture.
    """
    load_model(network, path, strict=True)
