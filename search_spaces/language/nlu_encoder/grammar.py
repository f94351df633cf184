"""The sentence templates of the production grammar, parsed, with values for their open slots.

Source: the package `home-assistant-intents` (Apache-2.0), one JSON file per language, in the
template notation of `hassil`. The grammar leaves the names of a user's rooms and devices and
free text open; `slot_values.json` beside this module fills them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from hassil.expression import Expression
from hassil.parse_expression import parse_sentence

LANGUAGES = ("da", "de", "en", "es", "fr", "it", "nl", "ru")
"""Those of most templates, of the ones with spaces between words and with `slot_values.json`."""

_OPEN_LISTS = ("area", "floor")  # the grammar names them and leaves them to the installation


@dataclass(frozen=True)
class NumberRange:
    """Whole numbers from `low` to `high` (inclusive) in steps; `has_halves` adds the x.5."""

    low: int
    high: int
    step: int = 1
    has_halves: bool = False


SlotValues = tuple[Expression, ...] | NumberRange


@dataclass(frozen=True)
class Template:
    """One sentence template and what its references mean.

    name_domains: kinds of device its `{name}` may be; empty means any kind.
    """

    language: str
    intent: str
    text: str
    expression: Expression
    rules: Mapping[str, Expression]
    slot_lists: Mapping[str, SlotValues]
    names: Mapping[str, tuple[Expression, ...]]
    name_domains: tuple[str, ...]


@cache
def _parsed(text: str) -> Expression:
    return parse_sentence(text).expression


def _slot_values(definition: Mapping[str, Any], open_values: Sequence[str]) -> SlotValues:
    if "range" in definition:
        given = definition["range"]
        return NumberRange(
            low=int(given["from"]),
            high=int(given["to"]),
            step=int(given.get("step", 1)),
            has_halves="fractions" in given,
        )
    if "values" in definition:
        listed = definition["values"]
        return tuple(_parsed(v if isinstance(v, str) else str(v["in"])) for v in listed)
    return tuple(_parsed(value) for value in open_values)


def grammar_version() -> str:
    """What the drawn commands depend on outside this repository."""
    return f"{version('home-assistant-intents')}+hassil{version('hassil')}"


def load_templates(language: str) -> list[Template]:
    """Every template of one language, in the order of the grammar's file."""
    grammar_file = files("home_assistant_intents") / "data" / f"{language}.json"
    grammar = json.loads(grammar_file.read_text(encoding="utf-8"))
    ours_file = files(__package__) / "slot_values.json"
    ours = json.loads(ours_file.read_text(encoding="utf-8"))[language]
    rules = {name: _parsed(text) for name, text in grammar["expansion_rules"].items()}
    slot_lists = {
        name: _slot_values(definition, ours["lists"].get(name, ()))
        for name, definition in grammar["lists"].items()
    }
    for name in _OPEN_LISTS:
        slot_lists[name] = _slot_values({}, ours["lists"][name])
    names = {
        domain: tuple(_parsed(value) for value in values)
        for domain, values in ours["names"].items()
    }
    templates = []
    for intent, definition in grammar["intents"].items():
        for block in definition["data"]:
            domains = block.get("requires_context", {}).get("domain", ())
            known = (domains,) if isinstance(domains, str) else tuple(domains)
            templates += [
                Template(
                    language=language,
                    intent=intent,
                    text=text,
                    expression=_parsed(text),
                    rules=rules,
                    slot_lists=slot_lists,
                    names=names,
                    name_domains=tuple(domain for domain in known if domain in names),
                )
                for text in block["sentences"]
            ]
    return templates
