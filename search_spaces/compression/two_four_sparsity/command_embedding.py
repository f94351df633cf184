"""Words of commands as vectors: the sum of their character n-grams, projected.

Shape legend: B commands, T words, G n-grams per word, E embedding width, D network width.
"""

from torch import Tensor, nn

from search_spaces.compression.two_four_sparsity.intents import BUCKETS
from search_spaces.language.nlu_encoder.network import INTENT_COUNT

EMBEDDING_WIDTH = 32

INTENTS = INTENT_COUNT

_EMBEDDING_STD = 0.1


class CommandEmbedding(nn.Module):
    """Looks n-grams up, adds those of each word, and projects to the network's width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ngrams = nn.Embedding(BUCKETS, EMBEDDING_WIDTH, padding_idx=0)
        nn.init.normal_(self.ngrams.weight, std=_EMBEDDING_STD)
        nn.init.zeros_(self.ngrams.weight[0])
        self.projection = nn.Linear(EMBEDDING_WIDTH, width)

    def forward(self, ngrams: Tensor) -> tuple[Tensor, Tensor]:
        """B x T x G int64 to words, B x T x D, and whether each is one, B x T x 1 of 0 and 1."""
        is_word = (ngrams[:, :, :1] != 0).to(self.projection.weight.dtype)
        return self.projection(self.ngrams(ngrams).sum(dim=2)), is_word


def mean_of_words(x: Tensor, is_word: Tensor) -> Tensor:
    """B x T x D to B x D over the words that are no padding."""
    return (x * is_word).sum(dim=1) / is_word.sum(dim=1)
