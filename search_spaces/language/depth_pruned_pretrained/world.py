"""A model of one's own with its data: what all trials of one search share."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_llm.distillation import (
    DistillationStatistics,
    choose_responses,
)
from search_spaces.language.depth_pruned_llm.evaluation import (
    forgetting,
    next_tokens,
    recovery_percent,
    right_share,
    text_perplexity,
)
from search_spaces.language.depth_pruned_llm.flops import decoder_cost
from search_spaces.language.depth_pruned_llm.generation import respond, response_tokens
from search_spaces.language.depth_pruned_llm.speculation import acceptance_rate
from search_spaces.language.depth_pruned_pretrained.model_folder import (
    FolderUnusable,
    ModelFolder,
    read_folder,
)
from search_spaces.language.depth_pruned_pretrained.network import load_model, load_tokenizer
from search_spaces.language.depth_pruned_pretrained.template_chat import TemplateChat
from search_spaces.recipe import ArmInfeasible, Estimate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CHUNK = 64
"""Tokens of one text of the prose."""

_MOST_TESTED_CHUNKS = 64
_LEAST_CHUNKS = 16  # of either half
_DRAFTED = 32  # responses at which pruned networks try themselves as drafts
_AT_ONCE = 8
_CHARACTERS_PER_TOKEN = 8  # more than one takes on average, in any language


@dataclass(frozen=True)
class _Unpruned:
    """How the unpruned model does: its responses to the tests, and its choices in the prose.

    tokens: of the responses, each with its end.
    """

    responses: list[str]
    tokens: list[list[int]]
    choices: Tensor


@dataclass(frozen=True)
class PretrainedWorld:
    """See `search_spaces.language.depth_pruned_llm.world.World`.

    calibration, tested: B x `CHUNK` tokens of the two halves of the prose.
    """

    folder: ModelFolder
    network: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    chat: TemplateChat
    calibration: Tensor
    tested: Tensor
    unpruned: _Unpruned
    cache: Path

    def calibration_texts(self, count: int) -> Sequence[Tensor]:
        """Chunks of the first half of the prose."""
        return _batches(self.calibration[:count])

    def fine_tuning_set(self, count: int, *, of_the_merged: bool) -> list[Exchange]:
        """The first lines of the file."""
        if of_the_merged and not self.folder.merged:
            raise ArmInfeasible("there is no merged.jsonl beside the model to merge with")
        return list((self.folder.merged if of_the_merged else self.folder.tuning)[:count])

    def rewritten(
        self, exchanges: Sequence[Exchange]
    ) -> tuple[list[Exchange], DistillationStatistics]:
        """In the unpruned model's words; what it has written once is kept on this host."""
        kept: dict[str, str] = _read(self.cache / "rewritten.json") or {}
        missing = [one for one in exchanges if _key(one) not in kept]
        if missing:
            prompts = [self.chat.ask_to_rewrite(one) for one in missing]
            written = self._respond(self.network, prompts)
            kept |= {_key(one): said for one, said in zip(missing, written, strict=True)}
            _write(self.cache / "rewritten.json", kept)
        return choose_responses(self.chat, exchanges, [kept[_key(one)] for one in exchanges])

    def metrics_of(self, network: "PreTrainedModel") -> Mapping[str, Estimate]:
        """See `World`."""
        tests = self.folder.tests
        responses = self._respond(network, [self.chat.ask(one) for one in tests])
        untouched = [one.task not in self.folder.tuned_tasks for one in tests]
        everywhere = [True] * len(tests)
        accuracy, before = (
            self._accuracy(said, everywhere) for said in (responses, self.unpruned.responses)
        )
        kept = self._accuracy(responses, untouched)
        kept_before = self._accuracy(self.unpruned.responses, untouched)
        agreed = next_tokens(network, _batches(self.tested)) == self.unpruned.choices
        return {
            "mean_accuracy": accuracy,
            "accuracy_recovery": recovery_percent(accuracy, before.mean),
            "forgetting": forgetting(kept, kept_before.mean),
            "perplexity": Estimate(text_perplexity(network, _batches(self.tested))),
            "agreement": right_share(int(agreed.sum()), agreed.numel()),
            "flops_per_token": Estimate(float(decoder_cost(network).flops_per_token())),
            "acceptance_rate": acceptance_rate(
                network, self._drafted(), self.tokenizer.pad_token_id
            ),
        }

    def notes(self) -> Mapping[str, str | int | float | bool]:
        """See `World`."""
        everywhere = [True] * len(self.folder.tests)
        return {
            "model": self.folder.fingerprint,
            "unpruned_accuracy": self._accuracy(self.unpruned.responses, everywhere).mean,
            "unpruned_perplexity": text_perplexity(self.network, _batches(self.tested)),
        }

    def _respond(self, network: "PreTrainedModel", prompts: Sequence[str]) -> list[str]:
        room = self.folder.settings.max_response_tokens
        return respond(network, self.tokenizer, prompts, room, _AT_ONCE)

    def _accuracy(self, responses: Sequence[str], counted: Sequence[bool]) -> Estimate:
        right = [
            bool(self.chat.is_right(one, said))
            for one, said, counts in zip(self.folder.tests, responses, counted, strict=True)
            if counts
        ]
        return right_share(sum(right), len(right))

    def _drafted(self) -> list[tuple[Tensor, Tensor]]:
        """Prompts and the unpruned model's responses, 1 x P and 1 x R tokens."""
        found = []
        for exchange, said in zip(self.folder.tests, self.unpruned.tokens, strict=True):
            asked = self.tokenizer(self.chat.ask(exchange), add_special_tokens=False)["input_ids"]
            found.append((torch.tensor([asked]), torch.tensor([said])))
        return found[:_DRAFTED]


@lru_cache(maxsize=1)
def load_world(cache_folder: Path) -> PretrainedWorld:
    """The world of the folder that the environment names; held, for every trial asks for it.

    Its unpruned model answers the tests once per host. Raises: FolderUnusable.
    """
    folder = read_folder()
    network, tokenizer = load_model(folder), load_tokenizer(folder)
    chat = TemplateChat(tokenizer, folder.settings.answers)
    calibration, tested = prose_chunks(folder)
    cache = cache_folder / "pretrained-llm" / folder.fingerprint
    kept: dict[str, Any] | None = _read(cache / "unpruned.json")
    if kept is None:
        prompts = [chat.ask(one) for one in folder.tests]
        room = folder.settings.max_response_tokens
        kept = {
            "tokens": response_tokens(network, tokenizer, prompts, room, _AT_ONCE),
            "choices": next_tokens(network, _batches(tested)).tolist(),
        }
        _write(cache / "unpruned.json", kept)
    responses = [tokenizer.decode(row, skip_special_tokens=True) for row in kept["tokens"]]
    unpruned = _Unpruned(responses, kept["tokens"], torch.tensor(kept["choices"]))
    return PretrainedWorld(folder, network, tokenizer, chat, calibration, tested, unpruned, cache)


def prose_chunks(folder: ModelFolder) -> tuple[Tensor, Tensor]:
    """B x `CHUNK` tokens of the first half of the prose, and of the second.

    Raises: FolderUnusable if there are too few.
    """
    tokenizer = load_tokenizer(folder)
    halves = []
    for begin, end in ((0, len(folder.prose) // 2), (len(folder.prose) // 2, len(folder.prose))):
        text = folder.prose[begin:end][: _CHARACTERS_PER_TOKEN * CHUNK * _MOST_TESTED_CHUNKS]
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        count = min(len(tokens) // CHUNK, _MOST_TESTED_CHUNKS)
        if count < _LEAST_CHUNKS:
            raise FolderUnusable(
                f"half of prose.txt is {len(tokens)} tokens; {_LEAST_CHUNKS * CHUNK} are needed"
            )
        halves.append(torch.tensor(tokens[: count * CHUNK]).view(count, CHUNK))
    return halves[0], halves[1]


def _batches(texts: Tensor) -> list[Tensor]:
    return [texts[begin : begin + _AT_ONCE] for begin in range(0, len(texts), _AT_ONCE)]


def _key(exchange: Exchange) -> str:
    text = json.dumps([exchange.task, exchange.instruction, exchange.response])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _write(path: Path, content: Any) -> None:
    """Whole or not at all; whoever comes last wins, and lacks at most what can be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(temporary, path)  # noqa: PTH105  (one rename, atomic on one file system)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
