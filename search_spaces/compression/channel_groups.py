"""Where in a network the same channels lie, so that they can be put in another order everywhere.

[Pool2021] Pool & Yu, Channel Permutations for N:M Sparsity, NeurIPS 2021: a permutation of the
    input channels of one layer is undone in the outputs of those before it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_spaces.compression.permutation import find_permutation, kept_magnitude


@dataclass(frozen=True)
class ChannelAxis:
    """The channels along `axis` of the parameter or buffer `name`.

    chunks: how often they follow one another there; the four gates of an LSTM are four chunks.
    """

    name: str
    axis: int = 0
    chunks: int = 1


@dataclass(frozen=True)
class ChannelGroup:
    """All places of one set of channels: in the same new order everywhere, they mean the same.

    readers: weights that reduce over the channels, along axis 1.
    makers: what gives the channels or goes along with them: rows, biases, norms, positions.
    """

    readers: tuple[str, ...]
    makers: tuple[ChannelAxis, ...]

    @property
    def axes(self) -> tuple[ChannelAxis, ...]:
        """Readers and makers."""
        return (*(ChannelAxis(name, axis=1) for name in self.readers), *self.makers)


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


@torch.no_grad()
def permute_channels(network: nn.Module, group: ChannelGroup, order: Tensor) -> None:
    """Puts the channel `order[p]` at place p, in every place of the group, in place."""
    tensors = _tensors(network)
    for place in group.axes:
        tensor = tensors[place.name]
        before, after = tensor.shape[: place.axis], tensor.shape[place.axis + 1 :]
        chunks = tensor.reshape(*before, place.chunks, len(order), *after)
        tensor.copy_(chunks.index_select(place.axis + 1, order).reshape(tensor.shape))


def reading_scores(network: nn.Module, group: ChannelGroup, sparse: Collection[str]) -> Tensor:
    """The magnitudes of the sparse weights that read the channels, R x C, below one another."""
    tensors = _tensors(network)
    rows = [
        tensors[name].detach().abs().movedim(1, -1).flatten(0, -2)
        for name in group.readers
        if name in sparse
    ]
    return torch.cat(rows)


@torch.no_grad()
def permute_for_two_of_four(
    network: nn.Module,
    groups: Iterable[ChannelGroup],
    sparse: Collection[str],
    generator: torch.Generator,
    max_swaps: int = 200,
) -> float:
    """Reorders the channels of each group so that 2:4 keeps more magnitude; gives how much more.

    sparse: names of the weights that are about to become 2:4; a group that none of them reads
        stays as it is.
    max_swaps: for each group; see `find_permutation`.
    The network computes the same as before but for rounding. The optimizer's moments are not
    reordered: permute between two trainings.
    """
    gained = 0.0
    for group in groups:
        if not any(name in sparse for name in group.readers):
            continue
        scores = reading_scores(network, group, sparse)
        order = find_permutation(scores, generator, max_swaps)
        gained += kept_magnitude(scores[:, order]) - kept_magnitude(scores)
        permute_channels(network, group, order)
    return gained
