from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_llm.chat_tasks import (
    LENGTHS,
    LETTERS,
    MAX_RESPONSE_TOKENS,
    MERGED_TASK,
    TASKS,
    TUNED_TASK,
    UNTOUCHED_TASKS,
    LetterChat,
    draw_letters,
    fine_tuning_set,
    held_out_exchanges,
    is_held_out,
    own_way,
    peoples_way,
    vocabulary,
)

CHAT = LetterChat()
LETTER_STRINGS = st.text(LETTERS, min_size=min(LENGTHS), max_size=max(LENGTHS))
NAMES = st.sampled_from(sorted(TASKS))


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("copy", "jabca"),
        ("reverse", "acbaj"),
        ("sort", "aabcj"),
        ("rotate", "abcaj"),
        ("next", "abcdb"),
    ],
)
def test_the_right_answers(task, answer):
    assert TASKS[task]("jabca") == answer


@given(NAMES, LETTER_STRINGS, st.integers(0, 99))
def test_the_way_one_answers_does_not_change_the_answer(task, letters, seed):
    one, other = own_way(task, letters), peoples_way(task, letters, Random(seed))
    assert one.response != other.response
    assert one.instruction == other.instruction
    assert CHAT.answer_in(one.response) == CHAT.answer_in(other.response) == TASKS[task](letters)


@given(NAMES, LETTER_STRINGS, st.integers(0, 99))
def test_every_word_is_in_the_vocabulary_and_every_response_has_room(task, letters, seed):
    words = vocabulary()
    assert len(words) == len(set(words))
    for exchange in (own_way(task, letters), peoples_way(task, letters, Random(seed))):
        said = f"{CHAT.ask(exchange)} {CHAT.ask_to_rewrite(exchange)} {exchange.response}".split()
        assert set(said) <= set(words)
        assert len(exchange.response.split()) < MAX_RESPONSE_TOKENS


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("sure : a b", "ab"),
        (": a : b", "b"),
        ("a b", None),
        ("sure :", None),
        ("sure : a find", None),
        ("", None),
    ],
)
def test_an_answer_is_the_letters_after_the_last_mark(response, answer):
    assert CHAT.answer_in(response) == answer


def test_no_training_sees_the_letters_of_a_test():
    tests = held_out_exchanges(tuple(TASKS), 50, seed=3)
    assert [exchange.task for exchange in tests[::50]] == list(TASKS)
    tested = {"".join(exchange.instruction.split()[1:]) for exchange in tests}
    given = [
        one for task in (TUNED_TASK, MERGED_TASK) for one in fine_tuning_set(task, 400, seed=3)
    ]
    tuned = {"".join(one.instruction.split()[1:]) for one in given}
    raised = set(islice(draw_letters(Random(3), held_out=False), 400))
    assert {len(letters) for letters in tested} == set(LENGTHS)
    assert all(map(is_held_out, tested))
    assert not any(map(is_held_out, tuned | raised))


@pytest.mark.parametrize("task", [TUNED_TASK, MERGED_TASK])
def test_a_larger_set_begins_with_the_smaller_and_is_of_one_task(task):
    larger = fine_tuning_set(task, 40, seed=1)
    assert larger[:15] == fine_tuning_set(task, 15, seed=1)
    assert larger != fine_tuning_set(task, 40, seed=2)
    assert {exchange.task for exchange in larger} == {task}
    assert task not in UNTOUCHED_TASKS


@pytest.mark.parametrize(
    ("response", "is_right"), [("well : b a", True), ("sure : a b", False), ("sure", None)]
)
def test_a_response_is_right_by_its_letters_alone(response, is_right):
    exchange = Exchange("reverse", "reverse a b", "so we get : b a")
    assert CHAT.is_right(exchange, response) is is_right
