"""Many arms at once as rows of numbers: what surrogate and acquisition function compute with.

A row has one coordinate in [0, 1] per axis: the position on a continuous axis, or of a level.
Rows are cheap where arms are not: thousands are scored for every arm that is proposed.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import FixedParameter, IntParameter, same_value
from service.optimizer.axes import Axis, assemble, axes_of

Rows = npt.NDArray[np.float64]

MAX_LEVELS_STEPPED = 64
"""An ordered axis with more levels is searched as a continuum and then rounded."""

MIDDLE = 0.5
"""The coordinate of an inactive parameter, before it is moved to a level."""


class Encoding:
    """Arms of one space as rows (n x axes) and as the features (n x columns) of a kernel."""

    def __init__(self, space: ParameterSpace) -> None:
        self.space = space
        self.axes = axes_of(space)
        self._levels = [_level_positions(axis) for axis in self.axes]
        self._middles = np.array(
            [_nearest(levels, np.array([MIDDLE]))[0] for levels in self._levels]
        )

    @cached_property
    def is_continuous(self) -> npt.NDArray[np.bool_]:
        """Which axes are searched by gradient."""
        return np.array(
            [axis.levels == 0 or axis.levels > MAX_LEVELS_STEPPED for axis in self.axes]
        )

    @cached_property
    def is_ordered(self) -> npt.NDArray[np.bool_]:
        """Which axes have neighbouring levels that are alike."""
        return np.array([axis.is_ordered or axis.levels == 2 for axis in self.axes])

    def levels(self, axis: int) -> npt.NDArray[np.float64]:
        """The coordinates that an axis may take; none where it is continuous."""
        return self._levels[axis]

    @cached_property
    def axis_of_column(self) -> npt.NDArray[np.intp]:
        """For every feature the axis it comes from; the columns of one axis share a lengthscale."""
        widths = [1 if ordered else axis.levels for axis, ordered in self._kinds()]
        return np.repeat(np.arange(len(self.axes)), widths)

    @cached_property
    def is_curved(self) -> npt.NDArray[np.bool_]:
        """Which feature columns may take a curved trend: ordered ones of more than two levels."""
        curved = [ordered and axis.levels != 2 for axis, ordered in self._kinds()]
        return np.array(curved)[self.axis_of_column]

    def features(self, rows: Rows) -> Rows:
        """N x columns; an unordered choice as one column per level, two levels 1 apart."""
        columns = []
        for number, (axis, ordered) in enumerate(self._kinds()):
            column = rows[:, number]
            if ordered:
                columns.append(column[:, np.newaxis])
            else:
                level = np.rint(column * (axis.levels - 1))[:, np.newaxis]
                columns.append((level == np.arange(axis.levels)) / np.sqrt(2.0))
        return np.hstack(columns)

    def row_of(self, arm: Arm) -> Rows:
        """The coordinates (axes) of a legal arm; inactive parameters lie in the middle."""
        return np.array(
            [
                self._coordinate(number, arm) if axis.name in arm.parameters else middle
                for number, (axis, middle) in enumerate(zip(self.axes, self._middles, strict=True))
            ]
        )

    def rows_of(self, arms: Sequence[Arm]) -> Rows:
        """One row per arm."""
        return np.array([self.row_of(arm) for arm in arms]).reshape(len(arms), len(self.axes))

    def arm_of(self, row: Rows) -> Arm:
        """The arm at a row; a constraint may be broken, everything else holds."""
        values = {}
        for number, axis in enumerate(self.axes):
            levels = self._levels[number]
            if len(levels):
                value = axis.at_level(int(np.abs(levels - row[number]).argmin()))
            elif axis.is_log and isinstance(axis.parameter, IntParameter):
                low, high = axis.parameter.low, axis.parameter.high
                value = min(max(round(low * (high / low) ** float(row[number])), low), high)
            elif axis.levels:
                value = axis.at_level(round(float(row[number]) * (axis.levels - 1)))
            else:
                value = axis.from_unit(float(row[number]))
            values[axis.name] = value
        return assemble(self.space, values)

    def snapped(self, rows: Rows) -> Rows:
        """The rows with every coordinate at a legal value, inactive ones in the middle.

        Rows of one arm become equal, so that the surrogate sees it in one place.
        """
        moved = np.clip(rows, 0.0, 1.0)
        for number, levels in enumerate(self._levels):
            if len(levels):
                moved[:, number] = _nearest(levels, moved[:, number])
            elif self.axes[number].levels:
                moved[:, number] = self._rounded(number, moved[:, number])
        inactive = ~self.active(moved)
        return np.where(inactive, self._middles, moved)

    def slopes(self, gradient: Rows) -> Rows:
        """The gradient by the coordinates of continuous axes (others 0), given that by features."""
        by_axis = np.zeros(len(self.axes))
        single = self.is_continuous[self.axis_of_column]
        by_axis[self.axis_of_column[single]] = gradient[single]
        return by_axis

    def active(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """N x axes: whether the parameter exists in the arm of the row."""
        index = {axis.name: number for number, axis in enumerate(self.axes)}
        exists: dict[str, npt.NDArray[np.bool_]] = {}
        for parameter in self.space.parameters:
            condition = parameter.when
            if condition is None:
                exists[parameter.name] = np.ones(len(rows), dtype=bool)
                continue
            parent = self.space.by_name[condition.parameter]
            if isinstance(parent, FixedParameter):
                holds = np.full(
                    len(rows), any(same_value(parent.value, v) for v in condition.values)
                )
            else:
                number = index[parent.name]
                holds = self._takes(number, rows[:, number], condition.values)
            exists[parameter.name] = exists[parent.name] & holds
        return np.array([exists[axis.name] for axis in self.axes]).T.reshape(rows.shape)

    def is_legal(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which rows meet every linear constraint; exact for rows that come from `snapped`."""
        legal = np.ones(len(rows), dtype=bool)
        if not self.space.constraints:
            return legal
        active = self.active(rows)
        index = {axis.name: number for number, axis in enumerate(self.axes)}
        for constraint in self.space.constraints:
            total = np.zeros(len(rows))
            for name, factor in constraint.coefficients.items():
                parameter = self.space.by_name[name]
                if isinstance(parameter, FixedParameter):
                    total += factor * float(parameter.value) if parameter.when is None else 0.0
                else:
                    number = index[name]
                    values = self._values(number, rows[:, number])
                    total += factor * np.where(active[:, number], values, 0.0)
            slack = 1e-9 * max(1.0, abs(constraint.upper_bound))
            legal &= total <= constraint.upper_bound + slack
        return legal

    def _kinds(self) -> list[tuple[Axis, bool]]:
        return list(zip(self.axes, self.is_ordered.tolist(), strict=True))

    def _coordinate(self, number: int, arm: Arm) -> float:
        axis, value = self.axes[number], arm.parameters[self.axes[number].name]
        levels = self._levels[number]
        if len(levels):
            return float(levels[axis.level_of(value)])
        if axis.is_log and isinstance(axis.parameter, IntParameter):
            low, high = axis.parameter.low, axis.parameter.high
            return float(np.log(int(value) / low) / np.log(high / low))
        if axis.levels:
            return axis.level_of(value) / (axis.levels - 1)
        return axis.to_unit(value)

    def _rounded(self, number: int, coordinates: Rows) -> Rows:
        """The nearest levels' coordinates on an axis that is searched as a continuum."""
        axis = self.axes[number]
        if axis.is_log:
            low, high = float(axis.at_level(0)), float(axis.at_level(axis.levels - 1))
            values = np.clip(self._values(number, coordinates), low, high)
            return np.asarray(np.log(values / low) / np.log(high / low))
        return np.asarray(np.rint(coordinates * (axis.levels - 1)) / (axis.levels - 1))

    def _values(self, number: int, coordinates: Rows) -> Rows:
        """The numeric values at some coordinates of one axis."""
        axis, levels = self.axes[number], self._levels[number]
        if len(levels):
            numbers = np.array([float(axis.at_level(n)) for n in range(len(levels))])
            nearest = np.abs(coordinates[:, np.newaxis] - levels).argmin(axis=1)
            return np.asarray(numbers[nearest])
        low, high = (float(b) for b in axis.bounds)
        if axis.levels:
            low, high = float(axis.at_level(0)), float(axis.at_level(axis.levels - 1))
        if axis.is_log:
            values = low * (high / low) ** coordinates
        else:
            values = low + coordinates * (high - low)
        return np.rint(values) if isinstance(axis.parameter, IntParameter) else values

    def _takes(
        self, number: int, coordinates: Rows, values: Sequence[object]
    ) -> npt.NDArray[np.bool_]:
        axis, levels = self.axes[number], self._levels[number]
        if len(levels):
            wanted = [
                any(same_value(axis.at_level(n), v) for v in values)  # type: ignore[arg-type]
                for n in range(len(levels))
            ]
            nearest = np.abs(coordinates[:, np.newaxis] - levels).argmin(axis=1)
            taken: npt.NDArray[np.bool_] = np.array(wanted)[nearest]
            return taken
        numbers = self._values(number, coordinates)
        return np.isin(np.rint(numbers), [float(v) for v in values])  # type: ignore[arg-type]


def _level_positions(axis: Axis) -> npt.NDArray[np.float64]:
    """The coordinates of the levels; empty where the axis is searched as a continuum."""
    if axis.levels == 0 or (axis.levels > MAX_LEVELS_STEPPED and axis.is_ordered):
        return np.empty(0)
    if axis.is_log and isinstance(axis.parameter, IntParameter):
        values = np.array([float(axis.at_level(n)) for n in range(axis.levels)])
        return np.asarray(np.log(values / values[0]) / np.log(values[-1] / values[0]))
    return np.linspace(0.0, 1.0, axis.levels)


def _nearest(levels: npt.NDArray[np.float64], coordinates: Rows) -> Rows:
    if len(levels) == 0:
        return coordinates
    return np.asarray(levels[np.abs(coordinates[:, np.newaxis] - levels).argmin(axis=1)])
