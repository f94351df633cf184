import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.compression.schedules import cubic_sparsity

steps = st.integers(0, 1000)


@given(steps, steps, st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_rises_from_initial_to_final(begin, step, length, one, other):
    initial, final = sorted((one, other))
    end = begin + length
    sparsity = cubic_sparsity(step, begin, end, final, initial)
    assert initial <= sparsity <= final
    assert cubic_sparsity(step + 1, begin, end, final, initial) >= sparsity
    if step <= begin:
        assert sparsity == initial
    if step >= end:
        assert sparsity == final


def test_is_the_equation_of_the_paper():
    # s_t = s_f + (s_i - s_f)(1 - (t - t_0)/(n dt))^3 with s_i = 0.2, s_f = 0.8 half-way
    assert cubic_sparsity(50, 0, 100, 0.8, 0.2) == pytest.approx(0.8 - 0.6 / 8)


def test_without_room_to_rise_it_is_one_shot():
    assert cubic_sparsity(0, 0, 0, 0.7) == 0.7


def test_refuses_an_end_before_the_begin():
    with pytest.raises(ValueError, match=r"end \(3\) must not lie before begin \(5\)"):
        cubic_sparsity(4, 5, 3, 0.5)
