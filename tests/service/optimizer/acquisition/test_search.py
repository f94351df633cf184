"""The search ends, stays legal, finds the maximum of a known function, and simplifies."""

from typing import cast

import numpy as np
import pytest

from service.optimizer.acquisition.scenario import Acquisition
from service.optimizer.acquisition.search import AcquisitionSearch
from service.optimizer.encoding import Encoding
from tests.service.optimizer.tricky_spaces import SPACES, float_, space_of


class Peak:
    """Falls with the squared distance from a point of the features; flat where `height` is 0."""

    def __init__(self, centre: np.ndarray, height: float = 1.0) -> None:
        self.centre, self.height = centre, height

    def log_values(self, features: np.ndarray) -> np.ndarray:
        return -self.height * np.square(features - self.centre).sum(axis=1)

    def log_value_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        value = self.log_values(point[np.newaxis])[0]
        return float(value), -2 * self.height * (point - self.centre)


class Island:
    """A broad hill in the middle of the cube, and a higher, narrow one in a corner of it."""

    def __init__(self, corner: np.ndarray) -> None:
        self.hills = (Peak(np.full(len(corner), 0.5)), Peak(corner, height=20.0))

    def log_values(self, features: np.ndarray) -> np.ndarray:
        broad, narrow = (hill.log_values(features) for hill in self.hills)
        return np.maximum(broad, narrow + 3.0)

    def log_value_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        broad, narrow = (hill.log_value_and_gradient(point) for hill in self.hills)
        return max(broad, (narrow[0] + 3.0, narrow[1]), key=lambda hill: hill[0])


def maximum(name: str, height: float, incumbents: int) -> tuple[np.ndarray, np.ndarray]:
    """The peak's row and the row found, where some rows of the space are incumbents."""
    encoding = Encoding(SPACES[name])
    rng = np.random.default_rng(4)
    rows = encoding.snapped(rng.random((1500, len(encoding.axes))))
    rows = rows[encoding.is_legal(rows)]
    peak = Peak(encoding.features(rows[:1])[0], height)
    search = AcquisitionSearch(
        encoding, rows[1:300], rows[300 : 300 + incumbents], lambda r: np.ones(len(r), bool), rng
    )
    found = search.maximise(cast(Acquisition, peak))
    assert found is not None
    assert encoding.is_legal(found[0][None])[0]
    assert encoding.snapped(found[0][None])[0] == pytest.approx(found[0])
    return rows[0], found[0]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["mixed", "conditional", "ints", "log_ints", "unordered", "bools"])
@pytest.mark.parametrize("incumbents", [0, 1, 40])
def test_it_finds_a_known_maximum(name: str, incumbents: int) -> None:
    wanted, found = maximum(name, height=1e4, incumbents=incumbents)
    assert found == pytest.approx(wanted, abs=0.02)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("seed", range(5))
def test_it_finds_what_is_left_in_a_corner(seed: int) -> None:
    """Of rows drawn evenly in six dimensions one in 3,000 lies within 0.4 of it."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 2, 6).astype(float)
    encoding = Encoding(space_of(*(float_(name) for name in "uvwxyz")))
    rows = rng.random((512, 6))
    search = AcquisitionSearch(encoding, rows, rows[:9], lambda r: np.ones(len(r), bool), rng)
    found = search.maximise(cast(Acquisition, Island(corner)))
    assert found is not None
    assert found[0] == pytest.approx(corner, abs=0.06)  # the rest is for a simpler arm


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["conditional", "mixed", "conditional_constraint"])
def test_where_nothing_matters_all_but_one_parameter_stay(name: str) -> None:
    """Also where the nearest incumbent has parameters that the arm lacks: the search ends."""
    encoding = Encoding(SPACES[name])
    for incumbents in (1, 3, 40):
        _, found = maximum(name, height=0.0, incumbents=incumbents)
        rng = np.random.default_rng(4)
        rows = encoding.snapped(rng.random((1500, len(encoding.axes))))
        rows = rows[encoding.is_legal(rows)][300 : 300 + incumbents]
        changes = (np.abs(rows - found) > 1e-9).sum(axis=1)
        assert changes.min() <= 4
