"""A Transformer encoder that tells the intent of a command.

[Vaswani2017] Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv 1706.03762; norms come
    before each branch, as in Xiong et al. 2020, arXiv 2002.04745.

Shape legend: B commands, T words, G n-grams per word, D width, H heads, K width of one head.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from search_spaces.compression.channel_groups import ChannelAxis, ChannelGroup
from search_spaces.compression.two_four_sparsity.command_embedding import (
    INTENTS,
    CommandEmbedding,
    mean_of_words,
)
from search_spaces.language.nlu_encoder.split import MAX_WORDS

_HEAD_WIDTH = 16
_FFN_RATIO = 2
_POSITION_STD = 0.1
_MASKED = -1e4  # added to scores of padding; finite, so that no row of a softmax can be NaN


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network, each after a norm and added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // _HEAD_WIDTH
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn_in = nn.Linear(width, _FFN_RATIO * width)
        self.ffn_out = nn.Linear(_FFN_RATIO * width, width)

    def _attend(self, x: Tensor, score_bias: Tensor) -> Tensor:
        split = (*x.shape[:2], self.heads, _HEAD_WIDTH)
        query = self.query(x).view(split).transpose(1, 2)  # B x H x T x K
        key = self.key(x).view(split).transpose(1, 2)
        value = self.value(x).view(split).transpose(1, 2)
        scores = query @ key.transpose(2, 3) * _HEAD_WIDTH**-0.5 + score_bias
        mixed = scores.softmax(dim=-1) @ value
        y: Tensor = self.output(mixed.transpose(1, 2).reshape(x.shape))
        return y

    def forward(self, x: Tensor, score_bias: Tensor) -> Tensor:
        """x: B x T x D; score_bias: B x 1 x 1 x T, very negative at padding. Gives B x T x D."""
        x = x + self._attend(self.attention_norm(x), score_bias)
        y: Tensor = x + self.ffn_out(gelu(self.ffn_in(self.ffn_norm(x))))
        return y


class TransformerClassifier(nn.Module):
    """Embedded words with learned positions, encoder layers, the mean of the words, scores."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = CommandEmbedding(width)
        self.positions = nn.Parameter(_POSITION_STD * torch.randn(MAX_WORDS, width))
        self.layers = nn.ModuleList(EncoderLayer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, INTENTS)

    def forward(self, ngrams: Tensor) -> Tensor:
        """B x T x G int64 to scores of the intents, B x 42; padding changes no score."""
        x, is_word = self.embedding(ngrams)
        x = x + self.positions[: ngrams.shape[1]]
        score_bias = ((1.0 - is_word) * _MASKED).transpose(1, 2).unsqueeze(1)
        for layer in self.layers:
            x = layer(x, score_bias)
        scores: Tensor = self.head(mean_of_words(self.norm(x), is_word))
        return scores

    def mixing_weights(self) -> set[str]:
        """All four projections of each layer's attention."""
        return {
            f"layers.{number}.{name}.weight"
            for number in range(len(self.layers))
            for name in ("query", "key", "value", "output")
        }

    def channel_groups(self) -> list[ChannelGroup]:
        """Those of the residual stream, which all layers share, and the neurons of each layer.

        What attention gives to its output projection is bound to its heads and stays in order.
        """
        names = [f"layers.{number}" for number in range(len(self.layers))]
        norms = [f"{name}.{norm}" for name in names for norm in ("attention_norm", "ffn_norm")]
        made = [f"{name}.{linear}" for name in names for linear in ("output", "ffn_out")]
        read = [
            f"{name}.{linear}.weight"
            for name in names
            for linear in ("query", "key", "value", "ffn_in")
        ]
        stream = ChannelGroup(
            readers=(*read, "head.weight"),
            makers=(
                ChannelAxis("positions", axis=1),
                *(
                    ChannelAxis(f"{name}.{kind}")
                    for name in ("embedding.projection", *norms, "norm", *made)
                    for kind in ("weight", "bias")
                ),
            ),
        )
        neurons = [
            ChannelGroup(
                readers=(f"{name}.ffn_out.weight",),
                makers=(ChannelAxis(f"{name}.ffn_in.weight"), ChannelAxis(f"{name}.ffn_in.bias")),
            )
            for name in names
        ]
        return [stream, *neurons]
