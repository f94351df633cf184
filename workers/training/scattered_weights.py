"""Weights of no meaning for a network that is measured before it is trained."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SHARE_OF_SPREAD = 0.1
_LEAST_STEP = 1e-3


def scatter_weights(network: "torch.nn.Module", seed: int) -> None:
    """Moves every weight a little, so that no two are equal and none is zero, as after training.

    Fresh networks hold tensors that are equal (biases of zeros, norms of ones), which exporters
    store once: their file would be smaller than the trained network's. Buffers stay as they are.
    """
    import torch  # noqa: PLC0415

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.is_floating_point():
                continue
            spread = float(weight.std()) if weight.numel() > 1 else 0.0
            step = max(_SHARE_OF_SPREAD * spread, _LEAST_STEP)
            noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            weight.add_(step * noise)
