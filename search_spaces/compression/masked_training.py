"""Keeps zeros zero while the rest of a network trains: weights, gradients, optimizer's memory.

[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378: the mask
    is made once from the dense network and held through the whole retraining.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class MaskedTraining:
    """The masks of a network in training, by the names of its parameters.

    The order of a step is backward, `mask_gradients`, clipping, the optimizer's step, `hold`.
    A weight that was dropped has no share in the gradient's norm, and moments that it left in
    the optimizer (momentum, those of Adam) neither move it nor greet it if a later mask lets it
    back in.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer) -> None:
        self._weights = dict(network.named_parameters())
        self._optimizer = optimizer
        self._masks: dict[str, Tensor] = {}

    def __bool__(self) -> bool:
        return bool(self._masks)

    def fix(self, masks: Mapping[str, Tensor]) -> None:
        """Takes these masks from now on, True where a weight stays; no others are left.

        Raises: ValueError where a mask has no weight or another shape.
        """
        for name, mask in masks.items():
            weight = self._weights.get(name)
            if weight is None:
                raise ValueError(f"a mask names {name!r}, which is no parameter of the network")
            if weight.shape != mask.shape:
                raise ValueError(
                    f"the mask of {name} is {tuple(mask.shape)}, its weight {tuple(weight.shape)}"
                )
        self._masks = dict(masks)
        self.hold()

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Sets to zero the gradients of what was dropped."""
        for name, mask in self._masks.items():
            gradient = self._weights[name].grad
            if gradient is not None:
                gradient.masked_fill_(~mask, 0.0)

    @torch.no_grad()
    def hold(self) -> None:
        """Sets to zero what was dropped, and all that the optimizer remembers of it."""
        for name, mask in self._masks.items():
            weight = self._weights[name]
            dropped = ~mask
            weight.masked_fill_(dropped, 0.0)
            for remembered in self._optimizer.state.get(weight, {}).values():
                # a number of steps is a tensor too, of no shape
                if isinstance(remembered, Tensor) and remembered.shape == weight.shape:
                    remembered.masked_fill_(dropped, 0.0)

    def state(self) -> Mapping[str, Tensor]:
        """The masks as they are, for a checkpoint beside weights and optimizer."""
        return dict(self._masks)

    def restore(self, masks: Mapping[str, Tensor]) -> None:
        """Goes on with the masks of the same network in the midst of its training."""
        self.fix(masks)
