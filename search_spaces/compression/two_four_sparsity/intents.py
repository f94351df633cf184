"""The commands of `nlu_encoder` with their intents alone: what a person wants done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from search_spaces.compression.two_four_sparsity.task import Examples, Task
from search_spaces.language.nlu_encoder.batches import CommandTensors, ShuffledBatches
from search_spaces.language.nlu_encoder.commands import load_commands

BUCKETS = 2048
"""Of the hashed character n-grams, 0 for padding."""

SEEN_COMMANDS = 32_768


class IntentSplit:
    """Commands, n x words x n-grams int64 bucket numbers, and the intent of each."""

    def __init__(self, commands: CommandTensors) -> None:
        self._commands = commands

    def __len__(self) -> int:
        return len(self._commands)

    def take(self, rows: Tensor) -> Examples:
        """See `Split.take`: commands of full length, padded with zeros."""
        batch = self._commands.take(rows)
        return Examples(batch.ngrams, batch.intents)

    def shuffled(self, size: int, generator: torch.Generator) -> "IntentBatches":
        """See `Split.shuffled`; a batch is as long as its longest command."""
        return IntentBatches(self._commands.shuffled(size, generator))


class IntentBatches:
    """See `IntentSplit.shuffled`."""

    def __init__(self, batches: ShuffledBatches) -> None:
        self._batches = batches

    def __next__(self) -> Examples:
        batch = next(self._batches)
        return Examples(batch.ngrams, batch.intents)

    def state(self) -> Mapping[str, Any]:
        """See `Batches.state`."""
        return self._batches.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Batches.restore`."""
        self._batches.restore(state)


def intent_task(cache_folder: Path) -> Task:
    """The splits of `nlu_encoder`: no template of a sentence is in two of them."""
    data = load_commands(cache_folder)
    training, validation, test = (
        IntentSplit(CommandTensors(data, split, BUCKETS))
        for split in (data.training, data.validation, data.test)
    )
    return Task(training, validation, test, SEEN_COMMANDS)
