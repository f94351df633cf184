"""Our strategies, as the service runs them: one suggestion at a time from the whole history."""

from collections.abc import Mapping
from typing import cast

from benchmarks.optimizer.problems.problem import Problem
from search_spaces.arm import Arm
from search_spaces.registry import Registry
from service.domain.experiment import Budget, ExperimentSpec, OptimizerSettings, StrategyName
from service.domain.measurement import Measurement
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Observation, SuggestRequest, find_optimizer
from service.use_cases.resolve_experiment import resolve_experiment


class ArchfrontPeer:
    """A strategy of `service.optimizer` with the product's own rule for the initial trials."""

    version = "archfront"

    def __init__(self, problem: Problem, strategy: str, seed: int, trials: int) -> None:
        self._optimizer = find_optimizer(strategy)
        self._request = first_request(problem, strategy, seed, trials)

    def ask(self) -> Arm:
        """The strategy's best arm."""
        return self._optimizer.suggest(self._request)[0].arm

    def tell(self, arm: Arm, measured: Mapping[str, Measurement]) -> None:
        """Appends a completed trial to the history."""
        observation = Observation(
            arm=arm, status=TrialStatus.COMPLETED, measurements=dict(measured)
        )
        self._request = self._request.model_copy(
            update={"observations": (*self._request.observations, observation)}
        )


def first_request(problem: Problem, strategy: str, seed: int, trials: int) -> SuggestRequest:
    """What the service would ask before the first trial of an ask/tell experiment."""
    settings = OptimizerSettings(strategy=cast(StrategyName, strategy))
    spec = ExperimentSpec(
        name=problem.name,
        parameters=problem.space.parameters,
        parameter_constraints=problem.space.constraints,
        objectives=problem.objectives,
        outcome_constraints=problem.outcome_constraints,
        optimizer=settings,
        budget=Budget(trials=trials),
    )
    resolved = resolve_experiment(spec, Registry([]))
    return SuggestRequest(
        space=resolved.space,
        objectives=spec.objectives,
        outcome_constraints=spec.outcome_constraints,
        initial_trials=resolved.spec.optimizer.initial_trials or 0,
        seed=seed,
        strategy=settings.strategy,
        budget_trials=trials,
    )
