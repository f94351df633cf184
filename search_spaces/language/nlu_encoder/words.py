"""Splits an utterance into words and describes each by hashed character n-grams.

Hashing needs no vocabulary file on the device and gives unseen words of any language a
description that they share with their relatives (fastText: Bojanowski et al. 2017,
arXiv 1607.04606).
"""

import re
import zlib

import numpy as np
from numpy.typing import NDArray

NGRAMS_PER_WORD = 10
"""The word itself and up to nine trigrams; of a longer word the first five and the last four."""

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+['\u2019]?|[%°]")
_FIRST, _LAST = 5, 4


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a lower-case text begin and end; numbers, % and ° are words."""
    return [match.span() for match in _WORD.finditer(text)]


def ngram_hashes(word: str) -> NDArray[np.int64]:
    """The hashes in [1, 2^31) of a word and its trigrams, zero-padded to `NGRAMS_PER_WORD`.

    All digits count as one, since no frame depends on which number it is.
    """
    marked = f"<{re.sub(r'[0-9]', '0', word)}>"
    trigrams = [marked[start : start + 3] for start in range(len(marked) - 2)]
    if len(trigrams) > _FIRST + _LAST:
        trigrams = trigrams[:_FIRST] + trigrams[-_LAST:]
    hashes = np.zeros(NGRAMS_PER_WORD, dtype=np.int64)
    for place, ngram in enumerate([f"={marked}", *trigrams]):
        hashes[place] = zlib.crc32(ngram.encode()) % (2**31 - 1) + 1
    return hashes
