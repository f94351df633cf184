"""What a network of this space learns from: labelled examples in three splits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class Examples(NamedTuple):
    """inputs: B x what the network takes; labels: B, int64."""

    inputs: Tensor
    labels: Tensor


class Batches(Protocol):
    """Training batches without end, whose place can be kept."""

    def __next__(self) -> Examples:
        """The next batch."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Where it is."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from there."""
        ...


class Split(Protocol):
    """Some of the examples."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def take(self, rows: Tensor) -> Examples:
        """Those of these rows, all of one shape."""
        ...

    def shuffled(self, size: int, generator: torch.Generator) -> Batches:
        """Batches of `size`; each pass visits every example at most once."""
        ...


@dataclass(frozen=True)
class Task:
    """seen: examples that a dense training sees, so that it takes a few seconds."""

    training: Split
    validation: Split
    test: Split
    seen: int


def in_order(split: Split, size: int) -> Iterator[Examples]:
    """All examples once, in batches of at most `size`."""
    for rows in torch.split(torch.arange(len(split)), size):
        yield split.take(rows)


@lru_cache(maxsize=2)
def load_task(network: str, cache_folder: Path) -> Task:
    """Digits for the kind `convolution`, commands for the others."""
    if network == "convolution":
        from search_spaces.compression.two_four_sparsity.digits import (  # noqa: PLC0415
            digit_task,
        )

        return digit_task()
    from search_spaces.compression.two_four_sparsity.intents import intent_task  # noqa: PLC0415

    return intent_task(cache_folder)
