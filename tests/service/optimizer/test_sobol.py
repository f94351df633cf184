import numpy as np
import pytest

from search_spaces.arm import Arm
from service.domain.errors import SearchSpaceExhausted
from service.optimizer.sobol import SobolOptimizer, new_arms
from tests.service.optimizer.tricky_spaces import SPACES, float_, int_, request_after, space_of


def arms_of(name: str, count: int, known: tuple[Arm, ...] = ()) -> list[Arm]:
    return new_arms(SPACES[name], known, count, seed=3, position=len(known))


@pytest.mark.parametrize("name", SPACES)
def test_one_by_one_is_a_sequence_without_repeats(name: str) -> None:
    known: tuple[Arm, ...] = ()
    for _ in range(12):
        known += tuple(arms_of(name, 1, known))
    assert len({arm.signature for arm in known}) == 12


@pytest.mark.parametrize("name", ["one_float", "mixed", "conditional", "linear"])
def test_many_at_once_are_those_that_come_one_by_one(name: str) -> None:
    one_by_one: tuple[Arm, ...] = ()
    for _ in range(8):
        one_by_one += tuple(arms_of(name, 1, one_by_one))
    assert list(one_by_one) == arms_of(name, 8)


def test_points_fill_the_space_more_evenly_than_chance() -> None:
    space = space_of(float_("x"), float_("y"))
    arms = new_arms(space, (), 256, seed=0, position=0)
    cells = {tuple(int(16 * float(arm.parameters[name])) for name in ("x", "y")) for arm in arms}
    assert len(cells) > 0.95 * 256  # random points would hit 63 % of the 256 cells


def test_constraints_are_met_wherever_the_points_come_from() -> None:
    space = space_of(
        float_("a"), float_("b"), float_("c"), constraints=("a + b + c <= 0.001", "a >= 2*b")
    )
    arms = new_arms(space, (), 30, seed=0, position=0)
    assert len({arm.signature for arm in arms}) == 30
    points = np.array([[float(v) for v in arm.parameters.values()] for arm in arms])
    # they spread over the sliver rather than crowd in one corner
    assert np.all(points.std(axis=0) > 5e-5)


def test_contradicting_constraints_are_named() -> None:
    space = space_of(float_("x"), int_("k", 0, 10), constraints=("2*k <= 5", "2*k >= 4.5"))
    with pytest.raises(SearchSpaceExhausted, match=r"meets 2\*k <= 5; -2\*k <= -4.5. Loosen"):
        new_arms(space, (), 1, seed=0, position=0)


def test_a_large_space_needs_no_enumeration() -> None:
    space = space_of(*(int_(f"i{n}", 0, 1_000_000) for n in range(24)))
    assert len(new_arms(space, (), 100, seed=0, position=0)) == 100


def test_known_arms_are_skipped_wherever_they_came_from() -> None:
    request = request_after(SPACES["mixed"], 0)
    coming = [s.arm for s in SobolOptimizer().suggest(request.model_copy(update={"count": 4}))]
    by_hand = request.model_copy(update={"pending": (coming[1],), "excluded": (coming[2],)})
    following = SobolOptimizer().suggest(by_hand)[0].arm
    assert following == coming[3]
