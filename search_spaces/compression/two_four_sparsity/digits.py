"""Handwritten digits, 8 x 8 pixels, as scikit-learn ships them.

Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository 1998:
the 1,797 of its test set, from 13 writers.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from search_spaces.compression.two_four_sparsity.task import Examples, Task

try:
    from sklearn.datasets import load_digits
except ModuleNotFoundError as error:
    # under its package's name, by which the extra that brings it is found
    raise ModuleNotFoundError(
        "no scikit-learn, which has the digits", name="scikit_learn"
    ) from error

SPLIT_SEED = 0
"""Of the one split that all trials share, so that their errors compare."""

SEEN_IMAGES = 24_576

_TRAINING, _VALIDATION = 997, 200  # the other 600 are the test
_LARGEST_PIXEL = 16.0


class DigitSplit:
    """Images, n x 1 x 8 x 8 float32 in [0, 1], and what digit each is."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self._images, self._labels = images, labels

    def __len__(self) -> int:
        return len(self._labels)

    def take(self, rows: Tensor) -> Examples:
        """See `Split.take`."""
        return Examples(self._images[rows], self._labels[rows])

    def shuffled(self, size: int, generator: torch.Generator) -> "DigitBatches":
        """See `Split.shuffled`; what is left over at the end of a pass waits for the next."""
        return DigitBatches(self, size, generator)


class DigitBatches:
    """See `DigitSplit.shuffled`."""

    def __init__(self, split: DigitSplit, size: int, generator: torch.Generator) -> None:
        self._split, self._size, self._generator = split, size, generator
        self._rows = torch.empty(0, dtype=torch.int64)

    def __next__(self) -> Examples:
        if len(self._rows) < self._size:
            self._rows = torch.randperm(len(self._split), generator=self._generator)
        rows, self._rows = self._rows[: self._size], self._rows[self._size :]
        return self._split.take(rows)

    def state(self) -> Mapping[str, Any]:
        """See `Batches.state`."""
        return {"rows": self._rows.clone(), "generator": self._generator.get_state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Batches.restore`."""
        self._rows = state["rows"]
        self._generator.set_state(state["generator"])


def digit_task() -> Task:
    """997 digits to train on, 200 to validate, 600 to test, drawn once for all trials."""
    pixels, digits = load_digits(return_X_y=True)
    images = torch.as_tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / _LARGEST_PIXEL
    labels = torch.as_tensor(digits, dtype=torch.int64)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SPLIT_SEED))
    ends = (_TRAINING, _TRAINING + _VALIDATION)
    training, validation, test = (
        DigitSplit(images[rows], labels[rows]) for rows in torch.tensor_split(order, ends)
    )
    return Task(training, validation, test, SEEN_IMAGES)
