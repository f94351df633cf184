import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_llm.chat_tasks import (
    TUNED_TASK,
    LetterChat,
    fine_tuning_set,
    own_way,
)
from search_spaces.language.depth_pruned_llm.distillation import (
    DistillationStatistics,
    choose_responses,
)

CHAT = LetterChat()
RESPONSES = st.sampled_from(["sure : a b", "well : a b", "sure : b a", "sure", ":"])


@given(st.lists(st.tuples(st.sampled_from(["x : a b", "y : b a"]), RESPONSES)))
def test_whatever_the_model_writes_every_answer_stays_right(pairs):
    given_ones = [Exchange("copy", "copy", response) for response, _ in pairs]
    rewritten = [response for _, response in pairs]
    chosen, statistics = choose_responses(CHAT, given_ones, rewritten)
    accepted = 0
    for before, own, after in zip(given_ones, rewritten, chosen, strict=True):
        assert CHAT.answer_in(after.response) == CHAT.answer_in(before.response)
        assert (after.task, after.instruction) == (before.task, before.instruction)
        is_right = CHAT.answer_in(own) == CHAT.answer_in(before.response)
        assert after.response == (own if is_right else before.response)
        accepted += is_right
    assert statistics.accepted == accepted
    assert statistics.accepted + statistics.wrong + statistics.unanswered == len(pairs)


def test_each_kind_is_counted():
    exchanges = fine_tuning_set(TUNED_TASK, 3, seed=0)
    right = own_way("reverse", "".join(exchanges[0].instruction.split()[1:])).response
    chosen, statistics = choose_responses(CHAT, exchanges, [right, "sure : a", "sure"])
    assert [one.response for one in chosen] == [right, exchanges[1].response, exchanges[2].response]
    assert statistics == DistillationStatistics(accepted=1, wrong=1, unanswered=1)
    assert statistics.acceptance_rate == pytest.approx(1 / 3)
    assert math.isnan(DistillationStatistics().acceptance_rate)
