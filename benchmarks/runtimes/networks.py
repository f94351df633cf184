"""The networks that runtimes are compared on: one of each kind that the search spaces build.

Their weights are drawn, not trained: latency, size and export time do not depend on training, and
the agreement of answers is compared with the network's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from search_spaces.compression.masks import block_mask, unstructured_mask
from workers.measurement.reference_network import ReferenceNetwork

INPUT_COUNT = 8


class MobileConvolutions(nn.Module):
    """Depthwise separable convolutions, as in a keyword spotter: 1 x 3 x 64 x 64 to 1 x 10."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
        for inside, outside, stride in ((16, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2)):
            layers += [
                nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False),
                nn.BatchNorm2d(inside),
                nn.ReLU(),
                nn.Conv2d(inside, outside, 1, bias=False),
                nn.BatchNorm2d(outside),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.answer = nn.Linear(128, 10)

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        answer: Tensor = self.answer(self.layers(image))
        return answer


class Wide(nn.Module):
    """One linear layer, 64 x 512 to 64 x 2048, without the weights that `mask` drops."""

    def __init__(self, mask: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(512, 2048)
        if mask is not None:
            with torch.no_grad():
                self.layer.weight.mul_(mask(self.layer.weight))

    def forward(self, rows: Tensor) -> Tensor:
        """See the class."""
        answer: Tensor = self.layer(rows)
        return answer


class Recurrent(nn.Module):
    """Two LSTM layers of width 128 over 1 x 32 x 40 frames, the last answer to 1 x 10."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(40, 128, num_layers=2, batch_first=True)
        self.answer = nn.Linear(128, 10)

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        hidden, _ = self.recurrent(frames)
        answer: Tensor = self.answer(hidden[:, -1])
        return answer


def _images() -> tuple[Tensor]:
    return (torch.randn(1, 3, 64, 64),)


def _sentences() -> tuple[Tensor]:
    ids = torch.randint(1, 1_000, (1, 32))
    ids[:, int(torch.randint(8, 32, ())) :] = 0
    return (ids,)


def _rows() -> tuple[Tensor]:
    return (torch.randn(64, 512),)


def _frames() -> tuple[Tensor]:
    return (torch.randn(1, 32, 40),)


@dataclass(frozen=True)
class Case:
    """A network in eval mode with `INPUT_COUNT` inputs."""

    network: nn.Module
    inputs: list[tuple[Tensor, ...]]


_MAKERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]]]] = {
    "convolution": (MobileConvolutions, _images),
    "encoder": (ReferenceNetwork, _sentences),
    "lstm": (Recurrent, _frames),
    "wide": (Wide, _rows),
    "wide_blocks": (partial(Wide, partial(block_mask, sparsity=0.9, block=(16, 1))), _rows),
    "wide_single": (partial(Wide, partial(unstructured_mask, sparsity=0.9)), _rows),
}

NETWORK_NAMES = tuple(_MAKERS)

DESCRIPTIONS = {
    "convolution": "depthwise separable convolutions on an image of 64 x 64",
    "encoder": "two Transformer layers of width 128 over 32 tokens, masked; the reference network",
    "lstm": "two layers of width 128 over 32 frames",
    "wide": "one linear layer, 512 to 2048, on 64 rows",
    "wide_blocks": "the same, 90 % of its weights zero in blocks of 16 outputs x 1 input",
    "wide_single": "the same, 90 % of its weights zero wherever they are smallest",
}


def build(name: str, seed: int) -> Case:
    """The network called `name` with weights and inputs drawn from `seed`."""
    make_network, make_input = _MAKERS[name]
    torch.manual_seed(seed)
    network = make_network()
    inputs = [make_input() for _ in range(INPUT_COUNT)]
    # Batch norms as training leaves them: without it the answers hardly depend on the input.
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        for one in inputs:
            network(*one)
    return Case(network.eval(), inputs)
