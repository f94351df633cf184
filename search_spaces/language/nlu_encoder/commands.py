"""The commands as arrays, drawn once per host and cached on disk."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.language.nlu_encoder.derivation import Command
from search_spaces.language.nlu_encoder.grammar import LANGUAGES, grammar_version, load_templates
from search_spaces.language.nlu_encoder.split import MAX_WORDS, draw_splits
from search_spaces.language.nlu_encoder.words import ngram_hashes

DATA_SEED = 0
"""Of the draw and the split: one for all trials, so that their errors compare."""

_FORMAT = 1  # rises when the arrays or the code that draws them change


@dataclass(frozen=True)
class LabelledCommands:
    """One split, n commands. Places after a command's end hold word 0 and tag 0 (`O`).

    words: n x MAX_WORDS, row numbers of `CommandData.word_hashes`.
    tags: n x MAX_WORDS, indices into `CommandData.tags`.
    intents: n, indices into `CommandData.intents`.
    lengths: n, words per command.
    """

    words: NDArray[np.int64]
    tags: NDArray[np.int64]
    intents: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.intents)


@dataclass(frozen=True)
class CommandData:
    """All splits, with the names of the labels.

    word_hashes: words x NGRAMS_PER_WORD; row 0 is all zero and stands for padding.
    """

    training: LabelledCommands
    validation: LabelledCommands
    test: LabelledCommands
    intents: tuple[str, ...]
    tags: tuple[str, ...]
    word_hashes: NDArray[np.int64]


def _label_names(commands: Sequence[Command]) -> tuple[list[str], list[str]]:
    intents = sorted({command.intent for command in commands})
    slots = sorted({tag[2:] for command in commands for tag in command.tags if tag != "O"})
    return intents, ["O", *(f"{prefix}-{slot}" for slot in slots for prefix in "BI")]


def _draw() -> tuple[dict[str, NDArray[np.int64]], dict[str, list[str]]]:
    templates = [template for language in LANGUAGES for template in load_templates(language)]
    splits = draw_splits(templates, DATA_SEED)
    named = {
        name: [command for _, command in getattr(splits, name)]
        for name in ("training", "validation", "test")
    }
    every = [command for commands in named.values() for command in commands]
    intents, tags = _label_names(every)
    vocabulary = sorted({word for command in every for word in command.words})
    row = {word: number for number, word in enumerate(vocabulary, start=1)}
    intent_index = {intent: index for index, intent in enumerate(intents)}
    tag_index = {tag: index for index, tag in enumerate(tags)}
    hashes = [ngram_hashes(word) for word in vocabulary]
    arrays = {"word_hashes": np.stack([np.zeros_like(hashes[0]), *hashes])}
    for name, commands in named.items():
        words = np.zeros((len(commands), MAX_WORDS), dtype=np.int64)
        word_tags = np.zeros_like(words)
        for place, command in enumerate(commands):
            count = len(command.words)
            words[place, :count] = [row[word] for word in command.words]
            word_tags[place, :count] = [tag_index[tag] for tag in command.tags]
        arrays[f"{name}_words"] = words
        arrays[f"{name}_tags"] = word_tags
        arrays[f"{name}_intents"] = np.array(
            [intent_index[command.intent] for command in commands], dtype=np.int64
        )
        arrays[f"{name}_lengths"] = np.array(
            [len(command.words) for command in commands], dtype=np.int64
        )
    return arrays, {"intents": intents, "tags": tags}


def _write(path: Path) -> None:
    """Writes the file whole or not at all; whoever comes last wins, with equal content."""
    arrays, labels = _draw()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            stored = {"labels": np.array(json.dumps(labels)), **arrays}
            np.savez_compressed(file, allow_pickle=False, **stored)
        os.replace(temporary, path)  # noqa: PTH105  (one rename, atomic on one file system)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def cache_path(cache_folder: Path) -> Path:
    """Where this host keeps the commands drawn by this version of the code and the grammar."""
    key = f"v{_FORMAT}-seed{DATA_SEED}-{grammar_version()}-{'-'.join(LANGUAGES)}"
    return cache_folder / f"nlu-commands-{key}.npz"


def load_commands(cache_folder: Path) -> CommandData:
    """All splits; drawn on the first call on a host (seconds), read from the cache after it."""
    path = cache_path(cache_folder)
    if not path.exists():
        _write(path)
    with np.load(path) as stored:
        labels = json.loads(str(stored["labels"]))
        splits = {
            name: LabelledCommands(
                words=stored[f"{name}_words"],
                tags=stored[f"{name}_tags"],
                intents=stored[f"{name}_intents"],
                lengths=stored[f"{name}_lengths"],
            )
            for name in ("training", "validation", "test")
        }
        return CommandData(
            **splits,
            intents=tuple(labels["intents"]),
            tags=tuple(labels["tags"]),
            word_hashes=stored["word_hashes"],
        )
