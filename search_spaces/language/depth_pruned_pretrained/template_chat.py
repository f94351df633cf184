"""How a model of one's own is asked: by its tokenizer's chat template, where it has one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_pretrained.model_folder import AnswerRule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ARTICLES = frozenset({"a", "an", "the"})
_NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")


@dataclass(frozen=True)
class TemplateChat:
    """See `search_spaces.language.depth_pruned_llm.chat.Chat`.

    answers: by task, when a response is right.
    """

    tokenizer: "PreTrainedTokenizerBase"
    answers: Mapping[str, AnswerRule] = field(default_factory=dict)

    def ask(self, exchange: Exchange) -> str:
        """The instruction alone."""
        return self._asked(exchange.instruction)

    def ask_to_rewrite(self, exchange: Exchange) -> str:
        """The instruction with the given response, to be said in the model's own words."""
        return self._asked(
            f"{exchange.instruction}\n\nA right response is: {exchange.response}\n"
            "Respond to the instruction in your own words, with the same answer."
        )

    def is_right(self, exchange: Exchange, response: str) -> bool | None:
        """By the rule of the exchange's task; None if the response is empty or has no number."""
        rule = self.answers.get(exchange.task, "words")
        if rule == "number":
            said, wanted = last_number(response), last_number(exchange.response)
            return None if said is None else said == wanted
        words = plain_words(response)
        if not words:
            return None
        return rule == "any" or f" {plain_words(exchange.response)} " in f" {words} "

    def _asked(self, text: str) -> str:
        if self.tokenizer.chat_template is None:
            return f"{text}\n"
        messages = [{"role": "user", "content": text}]
        return str(
            self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )


def plain_words(text: str) -> str:
    """The words in small letters, one space between two, without marks and articles."""
    words = re.findall(r"\w+", text.casefold())
    return " ".join(word for word in words if word not in _ARTICLES)


def last_number(text: str) -> float | None:
    """The number that stands last in a text, its thousands parted by commas or not."""
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None
