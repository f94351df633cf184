"""Rows there and back, for every kind of space: what is snapped is an arm, and legal where said."""

import numpy as np
import pytest

from service.optimizer.encoding import Encoding
from service.optimizer.known_arms import KnownArms
from service.optimizer.optimizer import SuggestRequest, find_optimizer
from tests.service.optimizer.tricky_spaces import SPACES, objectives


def rows_anywhere(encoding: Encoding, count: int = 100) -> np.ndarray:
    return np.random.default_rng(0).random((count, len(encoding.axes)))


@pytest.mark.parametrize("name", SPACES)
def test_an_arm_comes_back_from_its_row(name: str) -> None:
    space = SPACES[name]
    request = SuggestRequest(space=space, objectives=objectives(2), count=8, seed=1)
    encoding = Encoding(space)
    for suggestion in find_optimizer("sobol").suggest(request):
        row = encoding.row_of(suggestion.arm)
        again = encoding.arm_of(row)
        assert again.parameters.keys() == suggestion.arm.parameters.keys()
        for key, value in suggestion.arm.parameters.items():
            close = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert again.parameters[key] == close
        assert encoding.snapped(row[None])[0] == pytest.approx(row)


@pytest.mark.parametrize("name", SPACES)
def test_a_snapped_row_is_the_row_of_its_arm(name: str) -> None:
    encoding = Encoding(SPACES[name])
    for row in encoding.snapped(rows_anywhere(encoding)):
        assert encoding.row_of(encoding.arm_of(row)) == pytest.approx(row, abs=1e-9)


@pytest.mark.parametrize("name", SPACES)
def test_rows_are_legal_where_their_arms_are(name: str) -> None:
    encoding = Encoding(SPACES[name])
    rows = encoding.snapped(rows_anywhere(encoding))
    legal = [encoding.space.contains(encoding.arm_of(row)) for row in rows]
    assert encoding.is_legal(rows).tolist() == legal


@pytest.mark.parametrize("name", SPACES)
def test_equal_arms_have_equal_features(name: str) -> None:
    """A parameter that does not exist in an arm cannot tell two rows of it apart."""
    encoding = Encoding(SPACES[name])
    rows = rows_anywhere(encoding, 50)
    other = np.where(encoding.active(encoding.snapped(rows)), rows, 0.99)
    one, same = (encoding.features(encoding.snapped(r)) for r in (rows, other))
    assert one == pytest.approx(same)
    assert one.shape == (50, len(encoding.axis_of_column))


def test_two_levels_of_an_unordered_choice_are_one_apart() -> None:
    encoding = Encoding(SPACES["unordered"])
    rows = np.array([[0.0, 0.0, 0.0, 0.5], [1.0, 0.0, 0.0, 0.5], [0.5, 0.0, 0.0, 0.5]])
    features = encoding.features(rows)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(features[one] - features[other]) == pytest.approx(1.0)


def test_known_arms_are_known_up_to_a_rounding_error() -> None:
    encoding = Encoding(SPACES["one_float"])
    known = KnownArms(encoding, [encoding.arm_of(np.array([0.3]))])
    rows = np.array([[0.3], [0.3 + 1e-12], [0.30001]])
    assert known.are_new(rows).tolist() == [False, False, True]
    assert known.add(rows[2])
    assert not known.add(rows[2])
