from collections import Counter
from dataclasses import asdict

import pytest

from search_spaces.language.nlu_encoder.grammar import LANGUAGES, load_templates
from search_spaces.language.nlu_encoder.split import MAX_WORDS, draw_splits

SPLITS = ("training", "validation", "test")


@pytest.fixture(scope="module")
def templates():
    return [template for language in LANGUAGES for template in load_templates(language)]


@pytest.fixture(scope="module")
def splits(templates):
    return draw_splits(templates, seed=0)


def pairs_of_splits(splits):
    return [getattr(splits, name) for name in SPLITS]


def test_no_template_is_in_two_splits(splits):
    texts = [{(t.language, t.text) for t, _ in pairs} for pairs in pairs_of_splits(splits)]
    assert sum(map(len, texts)) == len(set.union(*texts))


def test_no_held_out_pattern_arises_in_training(splits):
    training, *held_out = (
        {(command.language, command.pattern) for _, command in pairs}
        for pairs in pairs_of_splits(splits)
    )
    for patterns in held_out:
        assert not patterns & training


def test_no_text_is_in_two_splits_or_twice_or_read_in_two_ways(splits):
    texts = [
        (command.language, command.words)
        for pairs in pairs_of_splits(splits)
        for _, command in pairs
    ]
    assert len(texts) == len(set(texts))


def test_every_template_of_a_held_out_split_counts_once(splits):
    for pairs in (splits.validation, splits.test):
        counts = Counter((template.language, template.text) for template, _ in pairs)
        # one text that serves two blocks of the grammar may be drawn for each
        assert sum(counts.values()) <= 1.05 * len(counts)


def test_the_splits_have_their_shares_in_every_language(splits):
    for language in LANGUAGES:
        training, validation, test = (
            len({t.text for t, _ in pairs if t.language == language})
            for pairs in pairs_of_splits(splits)
        )
        total = training + validation + test
        assert 0.2 < test / total < 0.3
        assert 0.06 < validation / total < 0.14


def test_every_intent_and_tag_of_the_test_is_trained(splits):
    training, _, test = pairs_of_splits(splits)
    assert {c.intent for _, c in test} <= {c.intent for _, c in training}
    assert {tag for _, c in test for tag in c.tags} <= {tag for _, c in training for tag in c.tags}


def test_no_intent_is_a_good_guess(splits):
    """The floor: always answering the commonest intent is wrong at least four times in five."""
    intents = Counter(command.intent for _, command in splits.test)
    assert max(intents.values()) / len(splits.test) < 0.2


def test_commands_fit_the_device(splits):
    for pairs in pairs_of_splits(splits):
        assert all(1 <= len(command.words) <= MAX_WORDS for _, command in pairs)


def test_few_templates_are_lost(templates, splits):
    drawn = {(t.language, t.text) for pairs in pairs_of_splits(splits) for t, _ in pairs}
    given = {(template.language, template.text) for template in templates}
    assert len(drawn) > 0.95 * len(given)


def test_is_a_function_of_the_seed(templates):
    some = templates[:400]

    def drawn(seed):
        return [
            [asdict(command) for _, command in pairs]
            for pairs in pairs_of_splits(draw_splits(some, seed))
        ]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
