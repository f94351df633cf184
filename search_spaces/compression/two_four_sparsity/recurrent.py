"""Stacked LSTMs that tell the intent of a command.

[Hochreiter1997] Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation 9(8).

Shape legend: B commands, T words, G n-grams per word, D width.
"""

from torch import Tensor, nn

from search_spaces.compression.channel_groups import ChannelAxis, ChannelGroup
from search_spaces.compression.two_four_sparsity.command_embedding import (
    INTENTS,
    CommandEmbedding,
    mean_of_words,
)

_GATES = 4


class RecurrentClassifier(nn.Module):
    """Embedded words, LSTMs from left to right, the mean of what the last gives, scores."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = CommandEmbedding(width)
        self.word_norm = nn.LayerNorm(width)  # embedded words begin too small for the gates
        # one by one: the inputs of each are seen from outside (`input_norms`)
        self.layers = nn.ModuleList(nn.LSTM(width, width, batch_first=True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, INTENTS)

    def forward(self, ngrams: Tensor) -> Tensor:
        """B x T x G int64 to scores of the intents, B x 42; padding at the end changes none."""
        x, is_word = self.embedding(ngrams)
        x = self.word_norm(x)
        for layer in self.layers:
            x, _ = layer(x)
        scores: Tensor = self.head(self.norm(mean_of_words(x, is_word)))
        return scores

    def mixing_weights(self) -> set[str]:
        """The recurrent weights."""
        return {f"layers.{number}.weight_hh_l0" for number in range(len(self.layers))}

    def channel_groups(self) -> list[ChannelGroup]:
        """What goes into the first LSTM, and the cells of each, in the same order in every gate."""
        names = [f"layers.{number}" for number in range(len(self.layers))]
        groups = [
            ChannelGroup(
                readers=(f"{names[0]}.weight_ih_l0",),
                makers=tuple(
                    ChannelAxis(f"{name}.{kind}")
                    for name in ("embedding.projection", "word_norm")
                    for kind in ("weight", "bias")
                ),
            )
        ]
        for name, after in zip(names, [*names[1:], None], strict=True):
            made = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
            makers = [ChannelAxis(f"{name}.{each}", chunks=_GATES) for each in made]
            reader = f"{after}.weight_ih_l0"
            if after is None:
                reader = "head.weight"
                makers += [ChannelAxis("norm.weight"), ChannelAxis("norm.bias")]
            readers = (f"{name}.weight_hh_l0", reader)
            groups.append(ChannelGroup(readers, tuple(makers)))
        return groups
