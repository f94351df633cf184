"""The unpruned model: brought up from nothing on all tasks, once per host, and cached on disk."""

import os
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from search_spaces.language.depth_pruned_llm.chat_tasks import (
    TASKS,
    LetterChat,
    draw_letters,
    own_way,
    peoples_way,
)
from search_spaces.language.depth_pruned_llm.fine_tuning import (
    Batch,
    FineTuning,
    padded,
    tokenize,
)
from search_spaces.language.depth_pruned_llm.network import BLOCKS, small_llama, word_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STEPS = 500
"""Optimizer steps of the whole upbringing."""

_BATCH = 32
_PEAK_RATE = 2e-3
_WEIGHT_DECAY = 0.01
_STEPS_PER_REWRITING = 4  # in every fourth the model is shown a response, and answers in its way
_FORMAT = 2  # rises when the model, its data or its training change


def lesson(step: int, seed: int) -> tuple[list[str], list[str]]:
    """Prompts and responses of the batch of one step: fresh letters, all tasks alike."""
    rng = Random(seed * 1_000_003 + step)
    drawn = draw_letters(rng, held_out=False)
    chat, tasks = LetterChat(), tuple(TASKS)
    prompts, responses = [], []
    for _ in range(_BATCH):
        task, letters = rng.choice(tasks), next(drawn)
        own = own_way(task, letters)
        if step % _STEPS_PER_REWRITING == _STEPS_PER_REWRITING - 1:
            prompts.append(chat.ask_to_rewrite(peoples_way(task, letters, rng)))
        else:
            prompts.append(chat.ask(own))
        responses.append(own.response)
    return prompts, responses


def bring_up(seed: int, steps: int = STEPS) -> "PreTrainedModel":
    """A model trained from fresh weights, in eval mode; leaves torch's random state alone."""
    tokenizer = word_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = small_llama(BLOCKS)

    def batch_of(step: int) -> Batch:
        return padded(tokenize(tokenizer, *lesson(step, seed)), tokenizer.pad_token_id)

    upbringing = FineTuning(
        network, batch_of, steps=steps, peak_rate=_PEAK_RATE, weight_decay=_WEIGHT_DECAY
    )
    network.train()
    for _ in range(steps):
        upbringing.step()
    return network.eval()


def cache_path(cache_folder: Path, seed: int, steps: int) -> Path:
    """Where this host keeps the model of this seed, brought up in so many steps."""
    return cache_folder / f"depth-pruned-llm-v{_FORMAT}-seed{seed}-steps{steps}.safetensors"


def load_unpruned(cache_folder: Path, seed: int, steps: int = STEPS) -> "PreTrainedModel":
    """The model, in eval mode: trained on the first call on a host (minutes), read after it."""
    path = cache_path(cache_folder, seed, steps)
    if not path.exists():
        _write(path, bring_up(seed, steps))
    with torch.random.fork_rng(devices=[]):
        network = small_llama(BLOCKS)
    network.load_state_dict(load_file(path))
    return network.eval()


def _write(path: Path, network: "PreTrainedModel") -> None:
    """Writes the file whole or not at all; whoever comes last wins, with equal content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(descriptor)
    try:
        save_file(network.state_dict(), temporary)
        os.replace(temporary, path)  # noqa: PTH105  (one rename, atomic on one file system)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
