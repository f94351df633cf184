"""How large the inputs of each weight are on real data, for the criterion `wanda`.

[Sun2024] Sun et al., A Simple and Effective Pruning Approach for Large Language Models (Wanda),
    ICLR 2024, arXiv 2306.11695.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.compression.prunable import PrunableWeight


class _Squares:
    """Sums of squares of what one layer's weights are multiplied with, channel by channel."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        given: Tensor = inputs[0]
        if isinstance(module, nn.LSTM):
            # weight_hh reads what the LSTM gives, all but the last word's
            self._add("weight_ih", given)
            self._add("weight_hh", output[0])
        elif isinstance(module, nn.Conv1d | nn.Conv2d):
            self._add("weight", given.movedim(1, -1))
        else:
            self._add("weight", given)

    def _add(self, name: str, channels_last: Tensor) -> None:
        squares = channels_last.flatten(0, -2).double().square().sum(dim=0)
        self._sums[name] = self._sums.get(name, 0.0) + squares

    def norms(self, name: str) -> Tensor:
        """Of the weight `name` of the layer: its numbered ones (`weight_ih_l0`) share a stem."""
        return self._sums[name.rsplit("_l", 1)[0]].sqrt().float()


@torch.no_grad()
def input_norms(
    network: nn.Module, weights: Sequence[PrunableWeight], batches: Iterable[Tensor]
) -> dict[str, Tensor]:
    """The 2-norm of each input channel over all batches, by the weight's name [Sun2024].

    network: left in the mode in which it is given; eval mode is meant.
    batches: what `network` is called with, one after the other; padding counts as it comes.
    Raises: ValueError for a grouped convolution, whose outputs see different inputs, and for an
        LSTM of several layers or directions, which shows its outermost inputs alone; stack LSTMs
        of one layer.
    """
    modules = dict(network.named_modules())
    squares: dict[str, _Squares] = {}
    hooks = []
    try:
        for weight in weights:
            module = modules[weight.layer]
            if weight.groups > 1:
                raise ValueError(f"{weight.name}: wanda needs a convolution without groups")
            if isinstance(module, nn.LSTM) and (module.num_layers > 1 or module.bidirectional):
                raise ValueError(f"{weight.name}: wanda needs LSTMs of one layer and direction")
            if weight.layer not in squares:
                squares[weight.layer] = _Squares()
                hooks.append(module.register_forward_hook(squares[weight.layer].add))
        for batch in batches:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        weight.name: squares[weight.layer].norms(weight.name.rsplit(".", 1)[-1])
        for weight in weights
    }
