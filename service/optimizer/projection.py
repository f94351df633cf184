"""A legal arm close to an illegal one: a mixed-integer linear program over the constraints.

For spaces whose constraints leave so little that drawing at random never hits it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterConstraint, ParameterSpace
from search_spaces.parameters import ParameterValue
from service.optimizer.axes import Axis

_MAX_CORNERS = 5
_TIME_LIMIT_S = 5.0
_MARGIN = 1e-6
"""Relative slack that keeps the solver's tolerance on the legal side."""


@dataclass
class _Program:
    """min cost @ x, with lower <= rows @ x <= upper and bounds and integrality per column."""

    cost: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    is_integer: list[bool] = field(default_factory=list)
    rows: list[tuple[dict[int, float], float, float]] = field(default_factory=list)

    def column(self, low: float, high: float, *, is_integer: bool = False, cost: float = 0) -> int:
        self.low.append(low)
        self.high.append(high)
        self.is_integer.append(is_integer)
        self.cost.append(cost)
        return len(self.cost) - 1

    def solve(self) -> list[float] | None:
        """The cheapest column values, or None where the rows contradict each other."""
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for number, (terms, _, _) in enumerate(self.rows):
            for column, factor in terms.items():
                matrix[number, column] = factor
        answer = milp(
            np.array(self.cost),
            integrality=np.array(self.is_integer, dtype=int),
            bounds=Bounds(self.low, self.high),
            constraints=LinearConstraint(
                matrix, [lower for _, lower, _ in self.rows], [upper for _, _, upper in self.rows]
            ),
            options={"time_limit": _TIME_LIMIT_S},
        )
        return None if answer.x is None else [float(value) for value in answer.x]


@dataclass(frozen=True)
class _Term:
    """A parameter's number as a sum over columns: constant + sum(factor * column)."""

    axis: Axis
    constant: float
    factors: Mapping[int, float]

    def value(self, solution: Sequence[float]) -> ParameterValue:
        columns = list(self.factors)
        if not self.axis.levels:
            low, high = self.axis.bounds
            return min(max(solution[columns[0]], low), high)
        if self.axis.spacing is not None:
            return self.axis.at_level(round(solution[columns[0]]))
        return self.axis.at_level(int(np.argmax([solution[column] for column in columns])))


def nearest_legal(space: ParameterSpace, axes: Sequence[Axis], arm: Arm) -> Arm | None:
    """The arm that differs least from `arm`, relative to the ranges, and meets all constraints.

    Only constrained parameters move, and none on which others are conditional, so that the
    same parameters stay active. None where this admits no legal arm.
    """
    return _first_legal(space, axes, arm, None)


def legal_arm_near(
    space: ParameterSpace, axes: Sequence[Axis], arm: Arm, rng: np.random.Generator
) -> Arm | None:
    """Like `nearest_legal`, but inside: continuous parameters are drawn from what is left.

    They become a random mean of corners of what the constraints and the discrete parameters
    leave to them, so that different draws give different arms.
    """
    return _first_legal(space, axes, arm, rng)


def _first_legal(
    space: ParameterSpace, axes: Sequence[Axis], arm: Arm, rng: np.random.Generator | None
) -> Arm | None:
    for margin in (0.0, _MARGIN):
        moved = _move(space, axes, arm, margin, rng)
        if moved is not None and space.contains(moved):
            return moved
    return None


def _move(
    space: ParameterSpace,
    axes: Sequence[Axis],
    arm: Arm,
    margin: float,
    rng: np.random.Generator | None,
) -> Arm | None:
    gates = {p.when.parameter for p in space.parameters if p.when is not None}
    constrained = {name for c in space.constraints for name in c.coefficients}
    movable = [
        axis
        for axis in axes
        if axis.name in constrained and axis.name in arm.parameters and axis.name not in gates
    ]
    program = _Program()
    terms = {
        axis.name: _movable_term(program, axis, float(arm.parameters[axis.name]))
        for axis in movable
    }
    for constraint in space.constraints:
        program.rows.append(_constraint_row(constraint, terms, arm, margin))
    solution = program.solve() if terms else None
    if solution is None:
        return None
    free = [next(iter(terms[axis.name].factors)) for axis in movable if not axis.levels]
    if free and rng is not None:
        solution = _mean_of_corners(program, solution, free, rng)
    values = {name: term.value(solution) for name, term in terms.items()}
    return Arm(parameters={**arm.parameters, **values})


def _constraint_row(
    constraint: ParameterConstraint, terms: Mapping[str, _Term], arm: Arm, margin: float
) -> tuple[dict[int, float], float, float]:
    row: dict[int, float] = {}
    upper = constraint.upper_bound - margin * max(1.0, abs(constraint.upper_bound))
    for name, coefficient in constraint.coefficients.items():
        if name in terms:
            upper -= coefficient * terms[name].constant
            for column, factor in terms[name].factors.items():
                row[column] = row.get(column, 0.0) + coefficient * factor
        elif name in arm.parameters:
            upper -= coefficient * float(arm.parameters[name])
    return row, -np.inf, upper


def _mean_of_corners(
    program: _Program, solution: list[float], free: Sequence[int], rng: np.random.Generator
) -> list[float]:
    """`solution` with its `free` columns somewhere inside what the rows leave to them."""
    for column, is_integer in enumerate(program.is_integer):
        if is_integer:
            program.low[column] = program.high[column] = round(solution[column])
    corners = [solution]
    for _ in range(min(len(free) + 1, _MAX_CORNERS)):
        program.cost = [0.0] * len(program.cost)
        for column in free:
            program.cost[column] = float(
                rng.normal() / (program.high[column] - program.low[column])
            )
        corner = program.solve()
        if corner is not None:
            corners.append(corner)
    weights = rng.dirichlet(np.ones(len(corners)))
    mean: list[float] = (weights @ np.array(corners)).tolist()
    return [mean[c] if c in free else value for c, value in enumerate(solution)]


def _movable_term(program: _Program, axis: Axis, target: float) -> _Term:
    """The columns of one parameter, and the cost of moving its number away from `target`."""
    if not axis.levels:
        low, high = axis.bounds
        term = _Term(axis, 0.0, {program.column(low, high): 1.0})
        spread = high - low
    elif axis.spacing is not None:
        first, step = axis.spacing
        column = program.column(0, axis.levels - 1, is_integer=True)
        term = _Term(axis, first, {column: step})
        spread = abs(step) * (axis.levels - 1)
    else:
        numbers = [float(axis.at_level(level)) for level in range(axis.levels)]
        picks = [program.column(0, 1, is_integer=True) for _ in numbers]
        program.rows.append((dict.fromkeys(picks, 1.0), 1.0, 1.0))
        term = _Term(axis, 0.0, dict(zip(picks, numbers, strict=True)))
        spread = max(numbers) - min(numbers)
    distance = program.column(0, np.inf, cost=1.0)
    for sign in (1.0, -1.0):  # distance >= sign * (number - target) / spread
        row = {column: sign * factor / spread for column, factor in term.factors.items()}
        row[distance] = -1.0
        program.rows.append((row, -np.inf, sign * (target - term.constant) / spread))
    return term
