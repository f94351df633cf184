"""The arms not to be proposed again, nor any that differs from them by a rounding error."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from search_spaces.arm import Arm
from service.optimizer.encoding import Encoding, Rows

_SAME_WITHIN = 8
"""Decimals of the unit cube to which two arms must agree to count as one."""


class KnownArms:
    """A growing set of rows."""

    def __init__(self, encoding: Encoding, arms: Iterable[Arm]) -> None:
        legal = [arm for arm in arms if encoding.space.contains(arm)]
        self._keys = {self._key(row) for row in encoding.rows_of(legal)}

    def are_new(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which rows (n x axes, snapped) are not in the set."""
        return np.array([self._key(row) not in self._keys for row in rows], dtype=bool)

    def add(self, row: Rows) -> bool:
        """Puts the row (axes) into the set; whether it was new."""
        before = len(self._keys)
        self._keys.add(self._key(row))
        return len(self._keys) > before

    @staticmethod
    def _key(row: Rows) -> bytes:
        return (np.round(row, _SAME_WITHIN) + 0.0).tobytes()
