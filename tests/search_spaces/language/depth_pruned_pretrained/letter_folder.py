"""A folder with a small model and letter tasks for data, as a user would make one of their own."""

import json
from pathlib import Path
from random import Random

from search_spaces.language.depth_pruned_llm import chat_tasks
from search_spaces.language.depth_pruned_llm.chat_tasks import TASKS
from search_spaces.language.depth_pruned_llm.network import small_llama, word_tokenizer

TEMPLATE = "{% for one in messages %}<user> {{ one.content }} <assistant> {% endfor %}"
WORDS = 16 * 64 * 2 + 200  # of prose: what is asked of both halves, and some more


def make_folder(path: Path, blocks: int = 4, *, per_task: int = 4) -> Path:
    """Everything in it, merged.jsonl too; the network is a fresh one."""
    tokenizer = word_tokenizer()
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(path / "model")
    small_llama(blocks).save_pretrained(path / "model")
    write(path / "tuning.jsonl", chat_tasks.fine_tuning_set("reverse", 24, seed=1))
    write(path / "merged.jsonl", chat_tasks.fine_tuning_set("sort", 24, seed=2))
    write(path / "tests.jsonl", chat_tasks.held_out_exchanges(tuple(TASKS), per_task, seed=3))
    words = chat_tasks.vocabulary()[5:]
    drawing = Random(0)
    (path / "prose.txt").write_text(" ".join(drawing.choice(words) for _ in range(WORDS)))
    (path / "world.json").write_text(json.dumps({"max_response_tokens": 12}))
    return path


def write(path, exchanges):
    """One exchange a line."""
    path.write_text("".join(json.dumps(vars(exchange)) + "\n" for exchange in exchanges))
