"""Real questions, answers and prose that public packages carry.

Questions are those of `chatterbot-corpus` (BSD licence), prose is the reference documentation that
Python itself brings (`pydoc_data.topics`).
"""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics
from random import Random
from typing import Any

import torch
import yaml
from torch import Tensor

from search_spaces.language.depth_pruned_llm.chat import Chat, Exchange
from search_spaces.language.depth_pruned_llm.harness import ChoiceQuestion

TUNED_TOPIC = "trivia"
"""Of the fine-tuning set: questions with an answer of a word or two."""

OTHER_TOPICS = ("ai", "coding", "computers", "emotion", "literature", "psychology", "science")
_TEST_SHARE = 5  # one question of the tuned topic in so many is for tests alone
_SHUFFLED_BY = 2026


def _corpus() -> Path:
    found = find_spec("chatterbot_corpus")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "the questions are not here; run: make bench-smollm2, which installs chatterbot-corpus",
            name="chatterbot_corpus",
        )
    return Path(found.origin).parent / "data" / "english"


def exchanges_of(topic: str) -> list[Exchange]:
    """Each question of the topic once, with its first answer, in an order without meaning."""
    text = (_corpus() / f"{topic}.yml").read_text(encoding="utf-8")
    conversations: list[list[Any]] = yaml.safe_load(text)["conversations"]
    found: dict[str, str] = {}
    for one in conversations:
        if len(one) >= 2:
            found.setdefault(str(one[0]).strip(), str(one[1]).strip())
    exchanges = [Exchange(topic, asked, answered) for asked, answered in found.items()]
    Random(_SHUFFLED_BY).shuffle(exchanges)
    return exchanges


def tuned_exchanges() -> tuple[list[Exchange], list[Exchange]]:
    """Those of the tuned topic to fine-tune on, and those for tests alone."""
    all_of = exchanges_of(TUNED_TOPIC)
    tests = len(all_of) // _TEST_SHARE
    return all_of[tests:], all_of[:tests]


def with_choices(exchanges: Sequence[Exchange], chat: Chat, count: int = 4) -> list[ChoiceQuestion]:
    """Each question as it is asked, with its own answer among those of `count` - 1 others."""
    drawing, answers = Random(_SHUFFLED_BY), sorted({one.response for one in exchanges})
    questions = []
    for one in exchanges:
        others = [answer for answer in answers if answer != one.response]
        given = [one.response, *drawing.sample(others, count - 1)]
        drawing.shuffle(given)
        questions.append(ChoiceQuestion(chat.ask(one), tuple(given), given.index(one.response)))
    return questions


def prose(tokenizer: Any, chunks: int, length: int, *, for_tests: bool) -> Tensor:
    """`chunks` x `length` tokens of English prose; tests and calibration share no page."""
    pages = [text for _, text in sorted(topics.items())][int(for_tests) :: 2]
    text = re.sub(r"\s+", " ", " ".join(pages))
    tokens = tokenizer(text[: 8 * chunks * length], add_special_tokens=False)["input_ids"]
    return torch.tensor(tokens[: chunks * length]).view(chunks, length)
