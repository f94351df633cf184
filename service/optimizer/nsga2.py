"""The evolutionary baseline: NSGA-II by pymoo, one steady-state step from the history [Deb2002].

[Deb2002] K. Deb, A. Pratap, S. Agarwal, T. Meyarivan. A fast and elitist multiobjective genetic
    algorithm: NSGA-II. IEEE Trans. Evol. Comput., 2002.
"""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2, RankAndCrowding  # type: ignore[import-untyped]
from pymoo.core.evaluator import Evaluator  # type: ignore[import-untyped]
from pymoo.core.population import Population  # type: ignore[import-untyped]
from pymoo.core.problem import Problem  # type: ignore[import-untyped]
from pymoo.problems.static import StaticProblem  # type: ignore[import-untyped]

from search_spaces.arm import Arm
from service.domain.errors import SearchSpaceExhausted
from service.optimizer.encoding import Encoding, Rows
from service.optimizer.history import MeasuredArm, measured_arms
from service.optimizer.known_arms import KnownArms
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.optimizer.sobol import SobolOptimizer, new_arms

POPULATION = 20
_LEAST_PARENTS = 4
_MAX_MATINGS = 20


class Nsga2Optimizer:
    """Crosses and mutates the best of the history; quasi-random until there are a few parents."""

    name = "nsga2"

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """Offspring that are new and legal; a mating that gives none is made up quasi-randomly.

        Raises: SearchSpaceExhausted.
        """
        parents = [
            arm
            for arm in measured_arms(request)
            if all(objective.metric in arm.means for objective in request.objectives)
        ]
        if len(parents) < max(_LEAST_PARENTS, min(request.initial_trials, POPULATION)):
            return SobolOptimizer().suggest(request)
        kept = [arm for arm in request.replaceable if request.space.contains(arm)][: request.count]
        arms = kept + _offspring(request, parents, kept)
        missing = request.count - len(arms)
        if missing:
            known = (*request.known_arms, *arms)
            with suppress(SearchSpaceExhausted):
                arms += new_arms(request.space, known, missing, request.seed, request.arms_so_far)
        if not arms:
            raise SearchSpaceExhausted(
                f"No legal arm is left beside the {len(request.known_arms)} known ones. "
                "Widen the parameters or lower the budget.",
                field="parameters",
            )
        why = f"Offspring of the best {min(POPULATION, len(parents))} of {len(parents)} arms."
        return [Suggestion(arm=arm, source=self.name, note={"why": why}) for arm in arms]


def _offspring(
    request: SuggestRequest, parents: Sequence[MeasuredArm], kept: Sequence[Arm]
) -> list[Arm]:
    encoding = Encoding(request.space)
    if not encoding.axes:
        return []
    known = KnownArms(encoding, (*request.known_arms, *kept))
    algorithm = _algorithm(request, encoding, parents)
    arms: list[Arm] = []
    for _ in range(_MAX_MATINGS):
        if len(arms) + len(kept) >= request.count:
            break
        rows = encoding.snapped(np.array(algorithm.ask().get("X"), dtype=np.float64))
        rows = rows[encoding.is_legal(rows)]
        for row in rows[known.are_new(rows)]:
            arm = encoding.arm_of(row)
            if request.space.contains(arm) and known.add(row):
                arms.append(arm)
    return arms[: request.count - len(kept)]


def _algorithm(
    request: SuggestRequest, encoding: Encoding, parents: Sequence[MeasuredArm]
) -> NSGA2:
    """NSGA-II after it was told of the parents: the next `ask` gives offspring."""
    costs = np.array(
        [[-o.sign * arm.means[o.metric] for o in request.objectives] for arm in parents]
    )
    excess = _excess(request, parents)
    rows = encoding.rows_of([arm.arm for arm in parents])
    problem = Problem(
        n_var=rows.shape[1], n_obj=costs.shape[1], n_ieq_constr=excess.shape[1], xl=0.0, xu=1.0
    )
    population = Population.new("X", rows)
    Evaluator().eval(StaticProblem(problem, F=costs, G=excess), population)
    seed = int(np.random.SeedSequence((request.seed, request.arms_so_far)).generate_state(1)[0])
    best = RankAndCrowding().do(
        problem,
        population,
        n_survive=min(POPULATION, len(population)),
        random_state=np.random.default_rng(seed),
    )
    algorithm = NSGA2(pop_size=len(best), n_offsprings=2 * POPULATION, sampling=best)
    algorithm.setup(problem, termination=("n_gen", 1_000_000), seed=seed % 2**31)
    algorithm.tell(infills=algorithm.ask())
    return algorithm


def _excess(request: SuggestRequest, parents: Sequence[MeasuredArm]) -> npt.NDArray[np.float64]:
    """N x constraints: how far each arm lies beyond each bound; a missing metric counts as 1."""
    columns = [
        [
            (1 if c.op == "<=" else -1) * (arm.means[c.metric] - c.bound)
            if c.metric in arm.means
            else 1.0
            for arm in parents
        ]
        for c in request.outcome_constraints
    ]
    excess: Rows = np.array(columns, dtype=np.float64).reshape(len(columns), len(parents)).T
    return excess
