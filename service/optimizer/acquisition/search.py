"""Finds the arm where the acquisition function is largest, in a mixed and constrained space.

Thousands of rows are scored at once, scattered through the cube, at the ends of its axes and
around the front; from the best of them discrete moves (each axis to each other level) alternate
with climbs along the gradient of the continuous axes, until neither gains.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.optimize  # type: ignore[import-untyped]

from service.optimizer.acquisition.scenario import Acquisition
from service.optimizer.encoding import Encoding, Rows
from service.optimizer.gaussian_process.ensemble import MANY_AXES

SCATTERED = 512
"""Rows drawn evenly, as many at the ends of the axes, and as many around the front."""
STARTS = 6
_CLIMBED_ON = 2
"""So many of the starts, those that are best after one climb, go on until nothing gains."""
_ROUNDS = 8
_SAME = 1e-9
_SIMPLER_AT = 0.01
"""Of the logarithm, per axis: so much of the improvement is given for a simpler arm."""
_CLIMB_ITERATIONS = 30
_SETTLED = 1e-5
"""Relative: a climb ends where a step gains less of the logarithm."""
_LEAST_GAIN = 1e-4
"""Of the logarithm: a ten-thousandth of the improvement."""
_MAX_LEVELS_TRIED = 12
_STEPS = (1, 2, 4, 8)
_SPREADS = (0.02, 0.1, 0.3)


class AcquisitionSearch:
    """A search for one maximum after another over the same space.

    is_new: which rows are not known arms already.
    """

    def __init__(
        self,
        encoding: Encoding,
        scattered: Rows,
        incumbents: Rows,
        is_new: Callable[[Rows], npt.NDArray[np.bool_]],
        rng: np.random.Generator,
    ) -> None:
        self._encoding = encoding
        self._scattered = scattered
        self._incumbents = incumbents
        self._is_new = is_new
        self._rng = rng

    def maximise(self, acquisition: Acquisition) -> tuple[Rows, float] | None:
        """The best legal new row (axes) and its log value; None where there is no such row."""
        candidates = np.vstack(
            [
                self._scattered,
                self._at_ends(self._scattered),
                self._around(self._incumbents, SCATTERED),
            ]
        )
        candidates = self._allowed(self._encoding.snapped(candidates))
        if len(candidates) == 0:
            return None
        values = acquisition.log_values(self._encoding.features(candidates))
        begun = [
            self._once(acquisition, candidates[index], float(values[index]))
            for index in self._starts(candidates, values)
        ]
        begun.sort(key=lambda reached: -reached[1])
        ended = [self._climb(acquisition, *reached) for reached in begun[:_CLIMBED_ON]]
        return self._simplified(acquisition, *max(ended, key=lambda reached: reached[1]))

    def _simplified(self, acquisition: Acquisition, row: Rows, value: float) -> tuple[Rows, float]:
        """The row with as many coordinates of the nearest incumbent as cost next to nothing.

        In many dimensions the maximum differs from all that was tried in axes of which the
        surrogate knows little; each is a gamble, and together they spoil what is known to be good.
        It also leaves an arm that tells a person why it differs.
        """
        if len(self._incumbents) == 0:
            return row, value
        differences = np.abs(self._incumbents - row)
        parent = self._incumbents[int(np.argmin(differences.sum(axis=1)))]
        least = value - _SIMPLER_AT * len(row)
        while True:
            changed = np.flatnonzero(_differ(parent, row))
            resets = np.repeat(row[np.newaxis], len(changed), axis=0)
            resets[np.arange(len(changed)), changed] = parent[changed]
            resets = self._encoding.snapped(resets)
            # a parameter that does not exist in this arm falls back to where it was
            nearer = _differ(parent, resets).sum(axis=1) < len(changed)
            resets = self._allowed(resets[nearer])
            if len(changed) <= 1 or len(resets) == 0:
                return row, value
            values = acquisition.log_values(self._encoding.features(resets))
            best = int(np.argmax(values))
            if values[best] < least:
                return row, value
            row, value = resets[best], float(values[best])

    def _starts(self, rows: Rows, values: Rows) -> list[int]:
        """Good rows, not all from one hill: of each start's neighbourhood no second one."""
        order = np.argsort(-values, kind="stable")
        chosen: list[int] = []
        for index in order:
            distances = [np.abs(rows[index] - rows[other]).max() for other in chosen]
            if not distances or min(distances) > 0.1:
                chosen.append(int(index))
            if len(chosen) == STARTS:
                break
        return chosen

    def _once(self, acquisition: Acquisition, row: Rows, value: float) -> tuple[Rows, float]:
        row, value = self._along_gradient(acquisition, row, value)
        return self._by_moves(acquisition, row, value)

    def _climb(self, acquisition: Acquisition, row: Rows, value: float) -> tuple[Rows, float]:
        for _ in range(_ROUNDS):
            before = value
            row, value = self._once(acquisition, row, value)
            if value - before < _LEAST_GAIN:
                break
        return row, value

    def _by_moves(self, acquisition: Acquisition, row: Rows, value: float) -> tuple[Rows, float]:
        """The best of all single moves, as long as one gains."""
        for _ in range(_ROUNDS):
            moved = self._allowed(self._encoding.snapped(self._moves(row)))
            if len(moved) == 0:
                return row, value
            values = acquisition.log_values(self._encoding.features(moved))
            best = int(np.argmax(values))
            if values[best] - value < _LEAST_GAIN:
                return row, value
            row, value = moved[best], float(values[best])
        return row, value

    def _moves(self, row: Rows) -> Rows:
        moves = []
        for number in np.flatnonzero(~self._encoding.is_continuous).tolist():
            levels = self._encoding.levels(number)
            here = int(np.abs(levels - row[number]).argmin())
            if len(levels) <= _MAX_LEVELS_TRIED or not self._encoding.is_ordered[number]:
                others: Sequence[int] = range(len(levels))
            else:
                others = [here + sign * step for step in _STEPS for sign in (1, -1)]
            for other in others:
                if other != here and 0 <= other < len(levels):
                    move = row.copy()
                    move[number] = levels[other]
                    moves.append(move)
        return np.array(moves).reshape(len(moves), len(row))

    def _along_gradient(
        self, acquisition: Acquisition, row: Rows, value: float
    ) -> tuple[Rows, float]:
        free = np.flatnonzero(self._encoding.is_continuous & self._encoding.active(row[None])[0])
        if len(free) == 0:
            return row, value

        def negative(coordinates: Rows) -> tuple[float, Rows]:
            point = row.copy()
            point[free] = coordinates
            features = self._encoding.features(point[np.newaxis])[0]
            log_value, slope = acquisition.log_value_and_gradient(features)
            return -log_value, -self._encoding.slopes(slope)[free]

        found = scipy.optimize.minimize(
            negative,
            row[free],
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(free),
            options={"maxiter": _CLIMB_ITERATIONS, "ftol": _SETTLED},
        )
        reached = row.copy()
        reached[free] = found.x
        # back towards the start until the constraints hold
        steps = np.linspace(1.0, 0.0, 9)[:-1, np.newaxis]
        path = self._encoding.snapped(row + steps * (reached - row))
        path = self._allowed(path)
        if len(path) == 0:
            return row, value
        values = acquisition.log_values(self._encoding.features(path))
        best = int(np.argmax(values))
        return (path[best], float(values[best])) if values[best] > value else (row, value)

    def _allowed(self, rows: Rows) -> Rows:
        if len(rows) == 0:
            return rows
        rows = rows[self._encoding.is_legal(rows)]
        return rows[self._is_new(rows)] if len(rows) else rows

    def _at_ends(self, rows: Rows) -> Rows:
        """The rows with every other coordinate at one end of its axis.

        An improvement that is left in a corner or on a narrow edge is an island: no row drawn
        evenly lies near it and no gradient leads there. In many dimensions all of these rows are
        far from what was measured, and the best of them are the surrogate's worst errors.
        """
        if rows.shape[1] >= MANY_AXES:
            return rows[:0]
        ends = self._rng.integers(0, 4, size=rows.shape)  # low, high, and twice as drawn
        return np.where((ends < 2) & self._encoding.is_ordered, ends.astype(float), rows)

    def _around(self, rows: Rows, count: int) -> Rows:
        """Rows that differ from one of `rows` in a few coordinates, by little or much."""
        axes = len(self._encoding.axes)
        if len(rows) == 0:
            return np.empty((0, axes))
        parents = rows[np.arange(count) % len(rows)]
        mates = rows[self._rng.integers(0, len(rows), count)]
        # half of them cross two incumbents first
        crossed = self._rng.random((count, axes)) < 0.5
        crossed &= (self._rng.random(count) < 0.5)[:, np.newaxis]
        children = np.where(crossed, mates, parents)
        changed = self._rng.random((count, axes)) < np.maximum(
            1.0 / axes, self._rng.choice([0.0, 2.0 / axes, 0.5, 1.0], size=(count, 1))
        )
        spread = self._rng.choice(_SPREADS, size=(count, 1))
        moved = children + spread * self._rng.normal(size=children.shape)
        anywhere = self._rng.random(children.shape)
        moved = np.where(self._encoding.is_ordered, moved, anywhere)
        return np.where(changed, np.clip(moved, 0.0, 1.0), children)


def _differ(one: Rows, other: Rows) -> npt.NDArray[np.bool_]:
    """Which coordinates differ by more than a rounding error."""
    apart: npt.NDArray[np.bool_] = np.abs(one - other) > _SAME
    return apart
