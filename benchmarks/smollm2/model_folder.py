"""SmolLM2 with trivia and prose as a folder for the search space `depth_pruned_pretrained`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

from benchmarks.smollm2.texts import exchanges_of, tuned_exchanges
from search_spaces.language.depth_pruned_llm.chat import Exchange

_OTHER_TOPICS = ("literature", "science")
_QUESTIONS_PER_TOPIC, _TRIVIA = 12, 36
_MAX_RESPONSE_TOKENS = 40


def write_folder(path: Path, network: Any, tokenizer: Any) -> None:
    """Trivia to fine-tune on, other trivia and two other topics for tests, Python's manual."""
    path.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(path / "model")
    tokenizer.save_pretrained(path / "model")
    tuning, trivia = tuned_exchanges()
    others = [one for topic in _OTHER_TOPICS for one in exchanges_of(topic)[:_QUESTIONS_PER_TOPIC]]
    _write(path / "tuning.jsonl", tuning)
    _write(path / "tests.jsonl", [*trivia[:_TRIVIA], *others])
    pages = " ".join(text for _, text in sorted(topics.items()))
    (path / "prose.txt").write_text(re.sub(r"\s+", " ", pages), encoding="utf-8")
    settings = {"max_response_tokens": _MAX_RESPONSE_TOKENS}
    (path / "world.json").write_text(json.dumps(settings), encoding="utf-8")


def _write(path: Path, exchanges: Sequence[Exchange]) -> None:
    lines = [json.dumps(vars(exchange)) + "\n" for exchange in exchanges]
    path.write_text("".join(lines), encoding="utf-8")
