"""The fixed networks that every latency is a multiple of: a small and a large one.

Each is of the kind that is measured against it (embedding lookup, masked attention, convolution,
layer norm, GELU). The small one's 2 MB of weights stay in a core's own caches, as those of small
candidates do; the large one's 21 MB do not. A neighbour's load on core and caches slows the two by
very different factors, so that a candidate is paired with the one that is like it: under load the
ratio of a 28 MB network to the small reference scattered by 6 %, to a 15 MB one by 0.9 %.

Nothing of a reference may change without changing its name: latencies under two references compare
only as well as both are calibrated.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_SEED = 20_261_101
_VOCABULARY, _LENGTH, _HEADS = 1_000, 32, 4


@dataclass(frozen=True)
class ReferenceShape:
    """Which of the references."""

    name: str
    width: int
    layers: int


SMALL = ReferenceShape("encoder-2x128-v1", 128, 2)
LARGE = ReferenceShape("encoder-4x320-v1", 320, 4)

LARGE_FROM_BYTES = 8 * 1024 * 1024
"""Candidates whose file is as large are paired with the large one."""


def reference_for(size_bytes: int) -> ReferenceShape:
    """The reference for a candidate whose exported file has this size."""
    return LARGE if size_bytes >= LARGE_FROM_BYTES else SMALL


class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.before_convolution = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, width, 5, padding=2, groups=width)
        self.before_feed_forward = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:  # x: 1 x T x C, present: 1 x T
        split = self.projections(self.before_attention(x))
        split = split.view(1, _LENGTH, 3, _HEADS, -1).permute(2, 0, 3, 1, 4)
        query, key, value = split  # each 1 x H x T x C/H
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=present[:, None, None, :]
        )
        x = x + self.merge(attended.transpose(1, 2).reshape(1, _LENGTH, -1))
        mixed = self.convolution(self.before_convolution(x).transpose(1, 2)).transpose(1, 2)
        x = x + functional.gelu(mixed)
        widened: Tensor = self.widen(self.before_feed_forward(x))
        narrowed: Tensor = self.narrow(functional.gelu(widened))
        return x + narrowed


class ReferenceNetwork(nn.Module):
    """Token ids (1 x 32, int64, 0 = absent) to 16 answers (1 x 16)."""

    def __init__(self, shape: ReferenceShape = SMALL) -> None:
        super().__init__()
        self.tokens = nn.Embedding(_VOCABULARY, shape.width)
        self.layers = nn.ModuleList(_Layer(shape.width) for _ in range(shape.layers))
        self.answer = nn.Linear(shape.width, 16)

    def forward(self, ids: Tensor) -> Tensor:
        """See the class."""
        present = ids != 0
        x = self.tokens(ids)
        for layer in self.layers:
            x = layer(x, present)
        answers: Tensor = self.answer(x.mean(1))
        return answers


def build_reference(shape: ReferenceShape = SMALL) -> ReferenceNetwork:
    """The reference network, always with the same weights, in eval mode."""
    network = ReferenceNetwork(shape)
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for weight in network.parameters():
            scale = weight.shape[-1] ** -0.5
            weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
    return network.eval()


def reference_input() -> tuple[Tensor]:
    """The one input both are timed on: 24 tokens, then padding."""
    ids = torch.arange(1, _LENGTH + 1)[None] * 29 % _VOCABULARY
    ids[:, 24:] = 0
    return (ids,)
