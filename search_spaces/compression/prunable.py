"""Which weights of a network may become sparse.

[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378: linear
    layers and convolutions; not what the pattern does not tile, and often neither the first
    layer nor the last, which are small and the most sensitive.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from search_spaces.compression.patterns import Pattern, fits

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_RECURRENT = ("weight_ih", "weight_hh")


@dataclass(frozen=True, eq=False)
class PrunableWeight:
    """A weight that is reduced over.

    name: as in `named_parameters`; layer: as in `named_modules`.
    weight: outputs x input channels (x kernel positions).
    """

    name: str
    layer: str
    weight: Tensor
    groups: int = 1

    def fits(self, pattern: Pattern) -> bool:
        """Whether the pattern tiles it; blocks of several outputs must see the same inputs."""
        outputs = self.weight.shape[0] // self.groups
        return fits(pattern, outputs, self.weight.shape[1])


def reduced_weights(network: nn.Module) -> list[PrunableWeight]:
    """The weights of all linear layers, convolutions and LSTMs, in the order of their making.

    A weight that two layers share comes once. Embeddings are looked up, not reduced over, and
    transposed convolutions reduce over another axis: neither is here.
    """
    found: dict[int, PrunableWeight] = {}
    for layer, module in network.named_modules():
        for one in _of_module(layer, module):
            found.setdefault(id(one.weight), one)
    return list(found.values())


def _of_module(layer: str, module: nn.Module) -> Iterator[PrunableWeight]:
    prefix = f"{layer}." if layer else ""
    if isinstance(module, nn.Linear):
        yield PrunableWeight(f"{prefix}weight", layer, module.weight)
    elif isinstance(module, _CONVOLUTIONS):
        yield PrunableWeight(f"{prefix}weight", layer, module.weight, module.groups)
    elif isinstance(module, nn.LSTM):
        for name, weight in module.named_parameters():
            if name.startswith(_RECURRENT):
                yield PrunableWeight(f"{prefix}{name}", layer, weight)


def prunable_weights(
    network: nn.Module,
    pattern: Pattern,
    *,
    dense_first_last: bool = True,
    spared: Collection[str] = (),
) -> list[PrunableWeight]:
    """The weights that become sparse in this pattern.

    dense_first_last: leaves the first and the last layer of the network alone.
    spared: names of weights to leave alone, too.
    """
    weights = reduced_weights(network)
    layers = [weight.layer for weight in weights]
    outer = {layers[0], layers[-1]} if dense_first_last and layers else set()
    return [
        weight
        for weight in weights
        if weight.layer not in outer and weight.name not in spared and weight.fits(pattern)
    ]
