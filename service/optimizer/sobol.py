"""Quasi-random arms: a scrambled Sobol sequence over the search space [Owen1998].

[Owen1998] A. B. Owen. Scrambling Sobol' and Niederreiter-Xing points. J. Complexity, 1998.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc  # type: ignore[import-untyped]

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import FixedParameter
from service.domain.errors import SearchSpaceExhausted
from service.optimizer.axes import Axis, axes_of, from_units
from service.optimizer.enumeration import MAX_ENUMERATED_ARMS, arm_count_bound, every_legal_arm
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.optimizer.projection import legal_arm_near

_BLOCK = 1_024
_MAX_POSITIONS = 65_536
"""How far the sequence is searched for arms that meet the constraints."""
_MAX_BUILT = 4_096
"""How many arms are built and compared with the known ones."""
_MAX_PROJECTED = 64
"""How many points are moved onto the constraints before these count as unmeetable."""


class SobolOptimizer:
    """Fills the space evenly, whatever was measured."""

    name = "sobol"

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """The next points of the experiment's sequence that are legal and new.

        The sequence is fixed by `request.seed`; the position in it by the number of known arms.
        Arms that may be replaced come first: no new one would be better.
        Raises: SearchSpaceExhausted.
        """
        kept = [arm for arm in request.replaceable if request.space.contains(arm)]
        arms = kept[: request.count]
        missing = request.count - len(arms)
        if missing:
            position = request.arms_so_far + len(arms)
            with suppress(SearchSpaceExhausted) if arms else nullcontext():
                known = (*request.known_arms, *arms)
                arms += new_arms(request.space, known, missing, request.seed, position)
        return [Suggestion(arm=arm, source=self.name) for arm in arms]


def quasi_random_before_the_model(request: SuggestRequest) -> list[Suggestion]:
    """What a model's strategy answers while there is too little to fit it to."""
    why = "fewer than two trials have measured every objective and constraint"
    return [
        suggestion.model_copy(update={"note": {"why": f"Quasi-random: {why}."}})
        for suggestion in SobolOptimizer().suggest(request)
    ]


def new_arms(
    space: ParameterSpace, known: Sequence[Arm], count: int, seed: int, position: int
) -> list[Arm]:
    """Up to `count` legal arms, different from `known` and from each other, at least one.

    Three ways, from the usual to the rare: the sequence itself from `position` on; if nearly
    all arms are known, the rest of a small discrete space; if the constraints leave next to
    nothing of the space, points of the sequence moved onto them.
    Raises: SearchSpaceExhausted.
    """
    seen = {arm.signature for arm in known}
    found: list[Arm] = []

    def keep(arm: Arm) -> None:
        if arm.signature not in seen and space.contains(arm):
            seen.add(arm.signature)
            found.append(arm)

    if axes_of(space):
        for arm in _along_the_sequence(space, seed, position):
            keep(arm)
            if len(found) == count:
                return found
    if arm_count_bound(space) <= MAX_ENUMERATED_ARMS:
        rest = list(every_legal_arm(space))
        np.random.default_rng((seed, position)).shuffle(rest)
        for arm in rest:
            keep(arm)
            if len(found) == count:
                return found
    elif space.constraints and not found:
        for arm in _onto_the_constraints(space, seed, position):
            keep(arm)
            if len(found) == count:
                return found
    if not found:
        raise SearchSpaceExhausted(_why_exhausted(space, len(seen)), field="parameters")
    return found


def sobol_points(dimensions: int, seed: int, position: int) -> Iterator[npt.NDArray[np.float64]]:
    """Blocks (n x dimensions) of the scrambled sequence in the unit cube, from `position` on."""
    sequence = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    if position:
        sequence.fast_forward(position)
    while True:
        yield sequence.random(_BLOCK)


def _along_the_sequence(space: ParameterSpace, seed: int, position: int) -> Iterator[Arm]:
    axes = axes_of(space)
    built = 0
    for block_number, block in enumerate(sobol_points(len(axes), seed, position)):
        if block_number * _BLOCK >= _MAX_POSITIONS:
            return
        for units in block[_may_be_legal(space, axes, block)]:
            yield from_units(space, axes, units.tolist())
            built += 1
            if built >= _MAX_BUILT:
                return


def _may_be_legal(
    space: ParameterSpace, axes: Sequence[Axis], block: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Which rows meet every constraint over unconditional parameters: a cheap first sieve."""
    columns = {axis.name: column for column, axis in enumerate(axes)}
    passed = np.ones(len(block), dtype=bool)
    for constraint in space.constraints:
        involved = [space.by_name[name] for name in constraint.coefficients]
        if any(parameter.when is not None for parameter in involved):
            continue
        total = np.zeros(len(block))
        for parameter in involved:
            factor = constraint.coefficients[parameter.name]
            if isinstance(parameter, FixedParameter):
                total += factor * float(parameter.value)
            else:
                axis = axes[columns[parameter.name]]
                column = block[:, columns[parameter.name]]
                total += factor * np.array([float(axis.from_unit(u)) for u in column.tolist()])
        passed &= total <= constraint.upper_bound + 1e-6 * max(1.0, abs(constraint.upper_bound))
    return passed


def _onto_the_constraints(space: ParameterSpace, seed: int, position: int) -> Iterator[Arm]:
    axes = axes_of(space)
    rng = np.random.default_rng((seed, position))
    block = next(sobol_points(len(axes), seed, position))
    for units in block[:_MAX_PROJECTED]:
        moved = legal_arm_near(space, axes, from_units(space, axes, units.tolist()), rng)
        if moved is not None:
            yield moved


def _why_exhausted(space: ParameterSpace, known: int) -> str:
    if space.constraints and not known:
        listed = "; ".join(str(constraint) for constraint in space.constraints)
        return f"No arm was found that meets {listed}. Loosen them or widen the parameters."
    return (
        f"No legal arm is left beside the {known} known ones. "
        "Widen the parameters or lower the budget."
    )
