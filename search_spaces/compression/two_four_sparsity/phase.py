"""The optimizer steps of one training, dense or masked: its loss, its schedule, its state."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from search_spaces.compression.masked_training import MaskedTraining
from search_spaces.compression.two_four_sparsity.task import Examples

WEIGHT_DECAY = 0.01

_WARMUP_SHARE = 0.05
_GRADIENT_NORM = 1.0


def rate_factor(number: int, steps: int) -> float:
    """The share of the peak learning rate at step `number`: a linear rise, then half a cosine."""
    warmup = int(_WARMUP_SHARE * steps)
    if number < warmup:
        return (number + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (number - warmup) / (steps - warmup)))


class Phase:
    """`steps` steps of AdamW; the retraining runs through the same schedule as the dense one."""

    def __init__(self, network: nn.Module, steps: int, peak_rate: float) -> None:
        self.network = network
        self.steps = steps
        self._peak_rate = peak_rate
        matrices = [weight for weight in network.parameters() if weight.ndim > 1]
        vectors = [weight for weight in network.parameters() if weight.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": WEIGHT_DECAY},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=peak_rate,
            fused=True,
        )
        self.masked = MaskedTraining(network, self._optimizer)

    def step(self, number: int, examples: Examples) -> float:
        """One optimizer step; gives its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._peak_rate * rate_factor(number, self.steps)
        loss = cross_entropy(self.network(examples.inputs), examples.labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.masked.mask_gradients()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_NORM)
        self._optimizer.step()
        self.masked.hold()
        return loss.item()

    def state(self) -> Mapping[str, Any]:
        """The network's weights, the optimizer's moments and the masks."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "masks": self.masked.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from there, for a network of the same shape."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.masked.restore(state["masks"])
