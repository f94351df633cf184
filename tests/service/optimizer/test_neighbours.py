import numpy as np
import pytest

from search_spaces.parameter_space import ParameterSpace
from service.optimizer.neighbours import legal_neighbours
from service.optimizer.sobol import new_arms
from tests.service.optimizer.tricky_spaces import SPACES


@pytest.mark.parametrize("name", SPACES)
def test_neighbours_are_legal_and_near(name: str) -> None:
    space: ParameterSpace = SPACES[name]
    arm = new_arms(space, (), 1, seed=0, position=0)[0]
    found = legal_neighbours(space, [arm], 40, np.random.default_rng(0))
    assert len(found) >= 5
    assert len({neighbour.signature for neighbour in found}) == len(found)
    for neighbour in found:
        assert space.contains(neighbour)
        assert neighbour == space.canonical(neighbour.parameters)
    if not space.constraints and not any(p.when for p in space.parameters):
        changes = [
            sum(arm.parameters[k] != v for k, v in neighbour.parameters.items())
            for neighbour in found
        ]
        assert set(changes) <= {1, 2, 3}


def test_without_arms_there_are_no_neighbours() -> None:
    assert legal_neighbours(SPACES["mixed"], [], 10, np.random.default_rng(0)) == []
