import json
from importlib.resources import files
from itertools import permutations, product
from random import Random

import pytest
from hassil import Intents, recognize_all
from hassil.expression import (
    Alternative,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)
from hassil.parse_expression import parse_sentence
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.language.nlu_encoder.derivation import derive
from search_spaces.language.nlu_encoder.frames import slots
from search_spaces.language.nlu_encoder.grammar import (
    LANGUAGES,
    NumberRange,
    Template,
    load_templates,
)
from search_spaces.language.nlu_encoder.words import word_spans

TEMPLATES = {language: load_templates(language) for language in LANGUAGES}


def template_of(text, lists=None, rules=None, names=None):
    def parsed(value):
        return parse_sentence(value).expression

    return Template(
        language="en",
        intent="Test",
        text=text,
        expression=parsed(text),
        rules={name: parsed(value) for name, value in (rules or {}).items()},
        slot_lists={
            name: values if isinstance(values, NumberRange) else tuple(map(parsed, values))
            for name, values in (lists or {}).items()
        },
        names={domain: tuple(map(parsed, values)) for domain, values in (names or {}).items()},
        name_domains=(),
    )


def words_of(text):
    lowered = text.lower()
    return tuple(lowered[start:end] for start, end in word_spans(lowered))


def filled(command):
    """The values of a command's slots, as the tags alone tell them."""
    return {(name, " ".join(command.words[begin:end])) for name, begin, end in slots(command.tags)}


def all_texts(template, expression):
    """Every text of a value (small: values nest no lists)."""
    if isinstance(expression, TextChunk):
        return {expression.original_text}
    if isinstance(expression, RuleReference):
        return all_texts(template, template.rules[expression.rule_name])
    assert isinstance(expression, Group)
    per_item = [all_texts(template, item) for item in expression.items]
    if isinstance(expression, Alternative):
        return set().union(*per_item)
    orders = permutations(per_item) if isinstance(expression, Permutation) else [per_item]
    return {"".join(parts) for order in orders for parts in product(*order)}


def references(template, expression):
    if isinstance(expression, ListReference):
        yield expression
    elif isinstance(expression, RuleReference):
        yield from references(template, template.rules[expression.rule_name])
    elif isinstance(expression, Group):
        for item in expression.items:
            yield from references(template, item)


def possible_values(template):
    """slot -> the word tuples its lists allow, or None where a range allows any number."""
    allowed = {}
    for reference in references(template, template.expression):
        name = reference.list_name
        if name == "name" and name not in template.slot_lists:
            domains = template.name_domains or template.names
            values = [value for domain in domains for value in template.names[domain]]
        else:
            values = template.slot_lists[name]
        known = allowed.setdefault(reference.slot_name, set())
        if isinstance(values, NumberRange):
            known.add(None)
        else:
            known.update(words_of(text) for value in values for text in all_texts(template, value))
    return allowed


@pytest.mark.parametrize("language", LANGUAGES)
def test_tags_put_together_give_values_of_the_slots_lists(language):
    rng = Random(1)
    checked = 0
    for template in rng.sample(TEMPLATES[language], 150):
        command = derive(template, rng)
        if command is None:
            continue
        allowed = possible_values(template)
        for name, begin, end in slots(command.tags):
            value = command.words[begin:end]
            assert name in allowed, (template.text, command)
            assert None in allowed[name] or value in allowed[name], (template.text, command)
            checked += 1
    assert checked > 100


def grammar_of(language):
    """The grammar as its own recogniser takes it, its open lists filled with our values."""
    data = files("home_assistant_intents") / "data" / f"{language}.json"
    grammar = json.loads(data.read_text(encoding="utf-8"))
    ours_file = files("search_spaces.language.nlu_encoder") / "slot_values.json"
    ours = json.loads(ours_file.read_text(encoding="utf-8"))[language]
    names = [name for values in ours["names"].values() for name in values]
    lists = grammar["lists"] | {
        name: {"values": values} for name, values in (ours["lists"] | {"name": names}).items()
    }
    return lists, grammar["expansion_rules"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_grammars_own_recogniser_reads_the_same_slots(language):
    lists, rules = grammar_of(language)
    rng = Random(2)
    checked = 0
    for template in rng.sample(TEMPLATES[language], 60):
        command = derive(template, rng)
        if command is None:
            continue
        intents = Intents.from_dict(
            {
                "language": language,
                "intents": {template.intent: {"data": [{"sentences": [template.text]}]}},
                "lists": lists,
                "expansion_rules": rules,
            }
        )
        readings = [
            {(entity.name, " ".join(words_of(entity.text))) for entity in reading.entities_list}
            for reading in recognize_all(" ".join(command.words), intents, language=language)
        ]
        if readings:  # we drop punctuation, on which some templates insist
            assert filled(command) in readings, (template.text, command, readings)
            checked += 1
    assert checked >= 30


def test_the_slots_of_a_known_template():
    template = template_of(
        "turn [on] <the> {area} {color:shade} to {level}[%]",
        lists={
            "area": ["Living Room", "attic"],
            "color": ["(dark|light) blue"],
            "level": NumberRange(7, 8),
        },
        rules={"the": "(the|my)"},
    )
    seen = set()
    for seed in range(200):
        command = derive(template, Random(seed))
        values = dict(filled(command))
        assert set(values) == {"area", "shade", "level"}
        assert values["area"] in {"living room", "attic"}
        assert values["shade"] in {"dark blue", "light blue"}
        assert values["level"] in {"7", "8", "seven", "eight"}
        assert command.pattern[0] == "turn"
        assert "{area}" in command.pattern
        seen.add(command.words)
    assert len(seen) > 40


def test_two_fillings_in_a_row_stay_two():
    template = template_of("{a:x} {a:x}", lists={"a": ["one two"]})
    command = derive(template, Random(0))
    assert command.tags == ("B-x", "I-x", "B-x", "I-x")
    assert command.pattern == ("{x}", "{x}")


def test_refuses_a_slot_that_ends_inside_a_word():
    template = template_of("{area}lamp on", lists={"area": ["hall"]})
    assert derive(template, Random(0)) is None


def test_a_permutation_comes_in_every_order():
    template = template_of("(one;two;three)")
    assert len({derive(template, Random(seed)).words for seed in range(100)}) == 6


@settings(max_examples=30)
@given(st.sampled_from(LANGUAGES), st.integers(0, 2**31))
def test_is_a_function_of_template_and_seed(language, seed):
    template = TEMPLATES[language][seed % len(TEMPLATES[language])]
    assert derive(template, Random(seed)) == derive(template, Random(seed))
