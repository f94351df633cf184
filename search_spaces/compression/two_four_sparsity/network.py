"""The three kinds of network, built from an arm.

Each says where its channels lie (`channel_groups`), for their permutation, and which of its weights
mix places (`mixing_weights`): attention and recurrence, which `sparse_scope` may leave dense.
"""

from typing import Protocol, cast

from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.compression.channel_groups import ChannelGroup
from search_spaces.compression.two_four_sparsity.convolution import DigitNetwork
from search_spaces.compression.two_four_sparsity.recurrent import RecurrentClassifier
from search_spaces.compression.two_four_sparsity.transformer import TransformerClassifier


class SparsifiableNetwork(Protocol):
    """What every kind is, beside a torch module."""

    def channel_groups(self) -> list[ChannelGroup]:
        """Sets of channels that may be reordered without changing an answer."""
        ...

    def mixing_weights(self) -> set[str]:
        """Names of the weights that mix places."""
        ...

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores, B x classes."""
        ...


def build_network(arm: Arm) -> nn.Module:
    """The arm's network with weights drawn from torch's global generator, in training mode."""
    width, layers = int(arm.parameters["width"]), int(arm.parameters["layers"])
    if arm.parameters["network"] == "convolution":
        return DigitNetwork(width, layers)
    if arm.parameters["network"] == "transformer":
        return TransformerClassifier(width, layers)
    return RecurrentClassifier(width, layers)


def as_sparsifiable(network: nn.Module) -> SparsifiableNetwork:
    """The same network, known to be of one of the three kinds."""
    return cast(SparsifiableNetwork, network)
