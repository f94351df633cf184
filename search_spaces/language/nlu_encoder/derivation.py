"""Draws one command from a template and tags its words with the slots they fill."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)
from hassil.numbers import get_rbnf_engine

from search_spaces.language.nlu_encoder.grammar import NumberRange, Template
from search_spaces.language.nlu_encoder.words import word_spans

_OPTIONAL_SHARE = 0.5  # of optional parts that are said
_SPELT_OUT_SHARE = 0.5  # of whole numbers that are words, as a recogniser may give either
_SOFT_HYPHEN = "\u00ad"  # in the German and Dutch number words


@dataclass(frozen=True)
class Command:
    """A labelled utterance: `tags[i]` says which slot `words[i]` begins, continues or misses."""

    language: str
    intent: str
    words: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def pattern(self) -> tuple[str, ...]:
        """The utterance with each slot's value replaced by the slot's name."""
        return tuple(
            f"{{{tag[2:]}}}" if tag != "O" else word
            for word, tag in zip(self.words, self.tags, strict=True)
            if not tag.startswith("I-")
        )


@dataclass(frozen=True, eq=False)
class _Filling:
    """One filling of a slot; compared by identity, so that two in a row stay two."""

    slot: str


_Piece = tuple[str, _Filling | None]


def _number(numbers: NumberRange, language: str, rng: Random) -> str:
    value = rng.randrange(numbers.low, numbers.high + 1, numbers.step)
    if numbers.has_halves and value < numbers.high and rng.random() < 0.1:
        return f"{value}.5"
    if rng.random() >= _SPELT_OUT_SHARE:
        return str(value)
    spelt = get_rbnf_engine(language).format_number(value).text_by_ruleset
    words = sorted({text for ruleset, text in spelt.items() if "cardinal" in ruleset})
    return rng.choice(words).replace(_SOFT_HYPHEN, "") if words else str(value)


class _Walk:
    """One random descent through a template's expression."""

    def __init__(self, template: Template, rng: Random) -> None:
        self._template = template
        self._rng = rng

    def pieces(self, expression: Expression, filling: _Filling | None = None) -> Iterator[_Piece]:
        """Text and, where it stands in a slot, the filling it belongs to."""
        if isinstance(expression, TextChunk):
            yield expression.original_text.lower(), filling
        elif isinstance(expression, Alternative):
            yield from self._alternative(expression, filling)
        elif isinstance(expression, Group):
            items = list(expression.items)
            if isinstance(expression, Permutation):
                self._rng.shuffle(items)
            for item in items:
                yield from self.pieces(item, filling)
        elif isinstance(expression, RuleReference):
            yield from self.pieces(self._template.rules[expression.rule_name], filling)
        elif isinstance(expression, ListReference):
            yield from self._slot(expression)
        else:
            raise TypeError(f"unknown expression {type(expression).__name__} in a template")

    def _alternative(self, group: Alternative, filling: _Filling | None) -> Iterator[_Piece]:
        items = group.items
        if group.is_optional:
            if self._rng.random() >= _OPTIONAL_SHARE:
                return
            items = items[:-1]  # the parser appends the empty alternative last
        yield from self.pieces(self._rng.choice(items), filling)

    def _slot(self, reference: ListReference) -> Iterator[_Piece]:
        filling = _Filling(reference.slot_name)
        template = self._template
        if reference.list_name == "name" and "name" not in template.slot_lists:
            domains = template.name_domains or tuple(template.names)
            values = template.names[self._rng.choice(domains)]
            yield from self.pieces(self._rng.choice(values), filling)
            return
        listed = template.slot_lists[reference.list_name]
        if isinstance(listed, NumberRange):
            yield _number(listed, template.language, self._rng), filling
        else:
            yield from self.pieces(self._rng.choice(listed), filling)


def derive(template: Template, rng: Random) -> Command | None:
    """One random command of the template; None if a slot's edge falls inside a word.

    That happens in compounds such as the German `{area}lampe`, which no tag per word can tell.
    """
    text = ""
    fillings: list[_Filling | None] = []
    for piece, filling in _Walk(template, rng).pieces(template.expression):
        text += piece
        fillings += [filling] * len(piece)
    words, tags = [], []
    previous: _Filling | None = None
    for start, end in word_spans(text):
        current = fillings[start]
        if any(filling is not current for filling in fillings[start:end]):
            return None
        prefix = "I" if current is previous else "B"
        tags.append("O" if current is None else f"{prefix}-{current.slot}")
        words.append(text[start:end])
        previous = current
    if not words:
        return None
    return Command(template.language, template.intent, tuple(words), tuple(tags))
