"""Bayesian multi-objective optimization by Ax, rebuilt from the history at every call."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from service.domain.errors import SearchSpaceExhausted, SuggestionFailed
from service.optimizer.axes import axes_of, to_units
from service.optimizer.encoding import Encoding
from service.optimizer.history import (
    MeasuredArm,
    can_be_modelled,
    incumbents,
    instructive_arms,
    measured_arms,
    reference_point,
)
from service.optimizer.known_arms import KnownArms
from service.optimizer.neighbours import legal_neighbours
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.optimizer.projection import nearest_legal
from service.optimizer.sobol import new_arms, quasi_random_before_the_model

if TYPE_CHECKING:
    from service.optimizer.ax_model import AxModel

_POOL_SPACE_FILLING = 128
_POOL_NEIGHBOURS = 128
_MAX_SNAP = 1e-3
"""How far, in the unit cube, the model's arm may be moved and still be called the model's."""


class AxOptimizer:
    """Proposes where the expected hypervolume improvement is largest.

    Quasi-random while fewer than two trials have measured all metrics of interest.
    """

    name: str = "ax"

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """One arm after the other, each taking the former as pending.

        Ax's own maximum or, where that is none, illegal or known, the best of a pool of arms.

        Raises: SearchSpaceExhausted; SuggestionFailed where Ax itself fails.
        """
        reference = reference_point(request, measured_arms(request))
        if reference is None or not can_be_modelled(request):
            return quasi_random_before_the_model(request)
        with warnings.catch_warnings():
            # Ax and BoTorch tell of their own numerical retries and of torch's deprecations
            warnings.simplefilter("ignore")
            try:
                return _by_model(self.name, request, instructive_arms(request), reference)
            except SearchSpaceExhausted:
                raise
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise SuggestionFailed(f"Ax proposed no arm. {reason}") from error


class MapSaasOptimizer(AxOptimizer):
    """The same with an ensemble of sparse-axis surrogates, each at its maximum a posteriori."""

    name = "map_saas"


class SaasboOptimizer(AxOptimizer):
    """The published method: a sparse-axis surrogate, fully Bayesian, by Markov chains (NUTS)."""

    name = "saasbo"


class ParegoOptimizer(AxOptimizer):
    """The same with a random scalarisation per arm: for more objectives than boxes can take."""

    name = "parego"


def _by_model(
    strategy: str, request: SuggestRequest, arms: Sequence[MeasuredArm], reference: dict[str, float]
) -> list[Suggestion]:
    ax_model = import_module("service.optimizer.ax_model")
    seeds = np.random.SeedSequence((request.seed, request.arms_so_far)).generate_state(2)
    model: AxModel = ax_model.AxModel(request, arms, reference, int(seeds[0]), strategy)
    rng = np.random.default_rng(seeds[1])
    known = _Known(request)
    suggestions: list[Suggestion] = []
    for _ in range(request.count):
        arm = _without_excess(request.space, model.propose(known.pending))
        among = "the search space"
        if arm is None or not known.is_new(arm):
            pool = _pool(request, arm, incumbents(request, arms), known, rng)
            if not pool:
                break
            arm = pool[int(np.argmax(model.scores(pool, known.pending)))]
            among = f"{len(pool)} legal new arms"
        note = {
            "why": f"Largest {model.acquisition_name} over {among}, given {len(arms)} arms.",
            "predicted": model.predict(arm),
            "objective_thresholds": reference,
        }
        suggestions.append(Suggestion(arm=arm, source=strategy, note=note))
        known.add(arm)
    if not suggestions:
        raise SearchSpaceExhausted(
            f"No legal arm is left beside the {len(known.arms)} known ones. "
            "Widen the parameters or lower the budget.",
            field="parameters",
        )
    return suggestions


def _without_excess(space: ParameterSpace, arm: Arm | None) -> Arm | None:
    """`arm`, moved back onto the constraints if it breaks them by no more than Ax's slack."""
    if arm is None or space.contains(arm):
        return arm
    axes = axes_of(space)
    legal = nearest_legal(space, axes, arm)
    if legal is None:
        return arm
    changes = np.abs(np.array(to_units(axes, legal)) - np.array(to_units(axes, arm)))
    return legal if changes.max() <= _MAX_SNAP else arm


class _Known:
    """The arms not to be proposed again, and those of them that are under way."""

    def __init__(self, request: SuggestRequest) -> None:
        self._encoding = Encoding(request.space)
        self.arms = list(request.known_arms)
        self.pending = [arm for arm in request.pending if request.space.contains(arm)]
        self._rows = KnownArms(self._encoding, self.arms)

    def is_new(self, arm: Arm) -> bool:
        if not self._encoding.space.contains(arm):
            return False
        return bool(self._rows.are_new(self._encoding.rows_of([arm]))[0])

    def add(self, arm: Arm) -> None:
        self.arms.append(arm)
        self.pending.append(arm)
        self._rows.add(self._encoding.row_of(arm))


def _pool(
    request: SuggestRequest,
    best: Arm | None,
    on_front: Sequence[Arm],
    known: _Known,
    rng: np.random.Generator,
) -> list[Arm]:
    """New legal arms: next to Ax's `best`, around it and the front, and anywhere."""
    space = request.space
    if best is not None and not space.contains(best):
        best = nearest_legal(space, axes_of(space), best)
    found = [] if best is None else [best]
    found += legal_neighbours(space, [*found, *on_front], _POOL_NEIGHBOURS, rng)
    with suppress(SearchSpaceExhausted):
        found += new_arms(space, known.arms, _POOL_SPACE_FILLING, request.seed, request.arms_so_far)
    unique = {arm.signature: arm for arm in found if known.is_new(arm)}
    return list(unique.values())
