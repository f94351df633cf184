"""The commands as tensors, and training batches of commands of like length."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from search_spaces.language.nlu_encoder.commands import CommandData, LabelledCommands

IGNORED_TAG = -100  # cross_entropy's own mark for places that do not count

_BATCHES_PER_POOL = 16  # within a pool batches are made of neighbours in length


@dataclass(frozen=True)
class Batch:
    """ngrams: B x T x G bucket numbers; intents: B; tags: B x T, `IGNORED_TAG` at padding."""

    ngrams: Tensor
    intents: Tensor
    tags: Tensor


class CommandTensors:
    """One split, its words looked up in a table of n-gram buckets."""

    def __init__(self, data: CommandData, split: LabelledCommands, buckets: int) -> None:
        hashes = torch.from_numpy(data.word_hashes)
        # 0 stays padding; every n-gram falls into one of the buckets 1 to buckets - 1
        self._buckets_of_word = torch.where(hashes == 0, 0, 1 + hashes % (buckets - 1))
        self._words = torch.from_numpy(split.words)
        self._tags = torch.from_numpy(split.tags)
        self._intents = torch.from_numpy(split.intents)
        self._lengths = torch.from_numpy(split.lengths)

    def __len__(self) -> int:
        return len(self._intents)

    def take(self, rows: Tensor, length: int | None = None) -> Batch:
        """The commands of these rows, cut (or not) after `length` words."""
        words = self._words[rows, :length]
        return Batch(
            ngrams=self._buckets_of_word[words],
            intents=self._intents[rows],
            tags=torch.where(words > 0, self._tags[rows, :length], IGNORED_TAG),
        )

    def in_order(self, size: int) -> Iterator[Batch]:
        """All commands once, in batches of at most `size`, padded to full length."""
        for rows in torch.split(torch.arange(len(self)), size):
            yield self.take(rows)

    def shuffled(self, size: int, generator: torch.Generator) -> "ShuffledBatches":
        """Batches of `size` without end; each pass visits every command at most once.

        Commands of like length meet, so that little is padding; no batch is longer than its
        longest command.
        """
        return ShuffledBatches(self, min(size, len(self)), generator)

    def mixed(self, size: int, generator: torch.Generator) -> list[Tensor]:
        """The rows of one pass's batches, in their order."""
        batches: list[Tensor] = []
        order = torch.randperm(len(self), generator=generator)
        for pool in torch.split(order, size * _BATCHES_PER_POOL):
            by_length = pool[self._lengths[pool].argsort(stable=True)]
            batches += [rows for rows in torch.split(by_length, size) if len(rows) == size]
        places = torch.randperm(len(batches), generator=generator).tolist()
        return [batches[place] for place in places]

    def longest(self, rows: Tensor) -> int:
        """Words of the longest command among these rows."""
        return int(self._lengths[rows].max())


class ShuffledBatches(Iterator[Batch]):
    """See `CommandTensors.shuffled`. Its state tells where in which pass it is."""

    def __init__(self, commands: CommandTensors, size: int, generator: torch.Generator) -> None:
        self._commands = commands
        self._size = size
        self._generator = generator
        self._began = generator.get_state()
        self._pass: list[Tensor] | None = None
        self._drawn = 0

    def __next__(self) -> Batch:
        if self._pass is None or self._drawn == len(self._pass):
            self._began = self._generator.get_state()
            self._pass = self._commands.mixed(self._size, self._generator)
            self._drawn = 0
        rows = self._pass[self._drawn]
        self._drawn += 1
        return self._commands.take(rows, self._commands.longest(rows))

    def state(self) -> Mapping[str, Any]:
        """Where it is, its generator's state included, which others may have drawn from."""
        return {
            "began": self._began,
            "drawn": self._drawn,
            "generator": self._generator.get_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from there."""
        self._began, self._drawn = state["began"], state["drawn"]
        self._generator.set_state(self._began)
        # Before the first batch there is no pass yet, and nothing was drawn for one.
        self._pass = self._commands.mixed(self._size, self._generator) if self._drawn else None
        self._generator.set_state(state["generator"])
