import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.language.nlu_encoder.frames import error_share, slot_error, slots


def test_reads_begin_inside_outside():
    assert slots(["O", "B-area", "I-area", "O", "B-x"]) == {("area", 1, 3), ("x", 4, 5)}
    assert slots(["B-x", "B-x"]) == {("x", 0, 1), ("x", 1, 2)}


def test_an_inside_that_continues_nothing_begins():
    assert slots(["I-x", "I-x", "O", "I-y"]) == {("x", 0, 2), ("y", 3, 4)}
    assert slots(["B-x", "I-y"]) == {("x", 0, 1), ("y", 1, 2)}


@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), max_size=12))
def test_slots_cover_what_is_not_outside(tags):
    covered = [place for _, begin, end in slots(tags) for place in range(begin, end)]
    assert sorted(covered) == [place for place, tag in enumerate(tags) if tag != "O"]


@given(st.integers(1, 5000), st.data())
def test_error_share_is_binomial(n, data):
    wrong = data.draw(st.integers(0, n))
    estimate = error_share(wrong, n)
    assert estimate.mean == wrong / n
    assert 0 < estimate.sem <= 0.5 / math.sqrt(n) + 1e-12
    assert estimate.n == n


def test_error_share_agrees_with_the_textbook():
    assert error_share(300, 1000).sem == pytest.approx(math.sqrt(0.3 * 0.7 / 1000), rel=2e-3)


def test_slot_error_is_one_minus_f1():
    # 3 right, 5 expected, 4 predicted: precision 3/4, recall 3/5, F1 = 2/3
    estimate = slot_error([(2, 4), (1, 5)])
    assert estimate.mean == pytest.approx(1 / 3)
    assert estimate.n == 2


@pytest.mark.parametrize("right_share", [0.0, 0.8, 1.0])
def test_the_noise_of_slot_error_agrees_with_a_bootstrap(right_share):
    rng = np.random.default_rng(0)
    slot_counts = rng.integers(0, 4, size=600)
    right = rng.binomial(slot_counts, right_share)
    counts = np.stack([right, 2 * slot_counts], axis=1)
    estimate = slot_error([(int(r), int(b)) for r, b in counts])
    draws = counts[rng.integers(0, 600, size=(2000, 600))].sum(axis=1)
    spread = np.std(1 - 2 * draws[:, 0] / draws[:, 1])
    assert estimate.sem > 0
    assert estimate.sem == pytest.approx(spread, rel=0.1, abs=2e-3)
