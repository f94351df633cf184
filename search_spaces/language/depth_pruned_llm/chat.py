"""What a fine-tuning set is made of, and how a model is asked."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Exchange:
    """One example of a fine-tuning set: an instruction x and its response y.

    task: what the instruction asks for, by which results are told apart.
    """

    task: str
    instruction: str
    response: str


class Chat(Protocol):
    """How exchanges are put to one model, and whether a response is right."""

    def ask(self, exchange: Exchange) -> str:
        """The prompt up to where the response begins."""
        ...

    def ask_to_rewrite(self, exchange: Exchange) -> str:
        """The prompt that shows the response too and asks for the same in the model's own words."""
        ...

    def is_right(self, exchange: Exchange, response: str) -> bool | None:
        """Whether the response holds the answer of the given one; None if it holds none at all."""
        ...
