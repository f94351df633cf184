"""The fixed network that every latency is a multiple of.

It is of the kind that is measured against it (embedding lookup, masked attention, convolution,
layer norm, GELU) and as large as a small one of them (some 2 MB, a fraction of a millisecond), so
that a neighbour's load on core and caches hits it in like measure. Nothing of it may change
without changing `REFERENCE_NAME`: latencies under two references do not compare.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

REFERENCE_NAME = "encoder-2x128-v1"

_SEED = 20_261_101
_VOCABULARY, _LENGTH, _WIDTH, _HEADS, _LAYERS = 1_000, 32, 128, 4, 2


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(_WIDTH)
        self.projections = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.merge = nn.Linear(_WIDTH, _WIDTH)
        self.before_convolution = nn.LayerNorm(_WIDTH)
        self.convolution = nn.Conv1d(_WIDTH, _WIDTH, 5, padding=2, groups=_WIDTH)
        self.before_feed_forward = nn.LayerNorm(_WIDTH)
        self.widen = nn.Linear(_WIDTH, 4 * _WIDTH)
        self.narrow = nn.Linear(4 * _WIDTH, _WIDTH)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:  # x: 1 x T x C, present: 1 x T
        split = self.projections(self.before_attention(x))
        split = split.view(1, _LENGTH, 3, _HEADS, _WIDTH // _HEADS).permute(2, 0, 3, 1, 4)
        query, key, value = split  # each 1 x H x T x C/H
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=present[:, None, None, :]
        )
        x = x + self.merge(attended.transpose(1, 2).reshape(1, _LENGTH, _WIDTH))
        mixed = self.convolution(self.before_convolution(x).transpose(1, 2)).transpose(1, 2)
        x = x + functional.gelu(mixed)
        widened: Tensor = self.widen(self.before_feed_forward(x))
        narrowed: Tensor = self.narrow(functional.gelu(widened))
        return x + narrowed


class ReferenceNetwork(nn.Module):
    """Token ids (1 x 32, int64, 0 = absent) to 16 answers (1 x 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(_VOCABULARY, _WIDTH)
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.answer = nn.Linear(_WIDTH, 16)

    def forward(self, ids: Tensor) -> Tensor:
        """See the class."""
        present = ids != 0
        x = self.tokens(ids)
        for layer in self.layers:
            x = layer(x, present)
        answers: Tensor = self.answer(x.mean(1))
        return answers


def build_reference() -> ReferenceNetwork:
    """The reference network, always with the same weights, in eval mode."""
    network = ReferenceNetwork()
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for weight in network.parameters():
            scale = weight.shape[-1] ** -0.5
            weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
    return network.eval()


def reference_input() -> tuple[Tensor]:
    """The one input it is timed on: 24 tokens, then padding."""
    ids = torch.arange(1, _LENGTH + 1)[None] * 29 % _VOCABULARY
    ids[:, 24:] = 0
    return (ids,)
