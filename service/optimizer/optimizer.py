"""What every optimizer takes and gives: a pure function from history to new arms.

No torch, no Ax here: use cases and the suggester's parent process import this module.
"""

from importlib import import_module
from typing import Annotated, Any, Protocol, cast

from pydantic import Field

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.values import Name, Value
from service.domain.experiment import MAX_OBJECTIVES, StrategyName
from service.domain.measurement import Measurement
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.trial import TrialSource, TrialStatus

_CLASSES = {
    "auto": ("service.optimizer.auto", "AutoOptimizer"),
    "gp": ("service.optimizer.gp", "GpOptimizer"),
    "map_saas": ("service.optimizer.ax", "MapSaasOptimizer"),
    "saasbo": ("service.optimizer.ax", "SaasboOptimizer"),
    "parego": ("service.optimizer.ax", "ParegoOptimizer"),
    "ax": ("service.optimizer.ax", "AxOptimizer"),
    "nsga2": ("service.optimizer.nsga2", "Nsga2Optimizer"),
    "sobol": ("service.optimizer.sobol", "SobolOptimizer"),
    "random": ("service.optimizer.random", "RandomOptimizer"),
}


class Observation(Value):
    """A trial: its arm, how it ended (or that it runs), and what it measured (maybe not all).

    ends: of a training that was stopped early, where each of its metrics would have ended (`sem`:
        the forecast's error), or None where nothing can be told. What is measured of such a
        network is true of it, and says nothing about the arm.
    """

    arm: Arm
    status: TrialStatus
    measurements: dict[Name, Measurement] = {}
    ends: dict[Name, Measurement | None] = {}


class Source(Value):
    """An earlier experiment whose trials may teach about this one; its metrics by our names."""

    name: Name
    observations: tuple[Observation, ...]


class SuggestRequest(Value):
    """All that decides a suggestion; equal requests give equal arms, bit for bit.

    observations: final trials in the order they ended, failed and cancelled ones left out.
    pending: arms of running trials, and of candidates that must stay; their outcome is awaited.
    partial: what running trials, which are all among `pending`, have measured so far: stages that
        are cheap come first.
    replaceable: arms of candidates that nobody has claimed yet. The answer is what should stand
        in their place: it may repeat the ones worth keeping, `count` counts these too.
    excluded: arms of failed and cancelled trials: nothing was learnt from them, yet they are
        not proposed again.
    sources: earlier experiments to start warm from, the most alike first.
    initial_trials: quasi-random arms before `auto` asks the model.
    stage_costs_s: seconds that a stage of a trial usually takes, by its name, as far as is known.
    time_limit_s: after so many seconds nobody waits for the answer any more (None: unlimited).
    count: how many arms are wanted.
    """

    space: ParameterSpace
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=MAX_OBJECTIVES)]
    outcome_constraints: tuple[OutcomeConstraint, ...] = ()
    observations: tuple[Observation, ...] = ()
    pending: tuple[Arm, ...] = ()
    partial: tuple[Observation, ...] = ()
    replaceable: tuple[Arm, ...] = ()
    excluded: tuple[Arm, ...] = ()
    sources: tuple[Source, ...] = ()
    initial_trials: Annotated[int, Field(ge=0)] = 0
    stage_costs_s: dict[Name, Annotated[float, Field(ge=0)]] = {}
    time_limit_s: Annotated[float, Field(gt=0)] | None = None
    count: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    strategy: StrategyName = "auto"
    budget_trials: Annotated[int, Field(ge=1)] = 1_000_000

    @property
    def arms_so_far(self) -> int:
        """How many trials the optimizer was told of, those it may replace left out."""
        return len(self.observations) + len(self.pending) + len(self.excluded)

    @property
    def known_arms(self) -> tuple[Arm, ...]:
        """The arms that are not to be proposed again; those to be replaced may be."""
        observed = tuple(observation.arm for observation in self.observations)
        return observed + self.pending + self.excluded


class Suggestion(Value):
    """A new arm, the strategy that proposed it, and why (shown with the trial)."""

    arm: Arm
    source: TrialSource
    note: dict[str, Any] = {}


class Optimizer(Protocol):
    """A strategy that extends the history of an experiment."""

    @property
    def name(self) -> str:
        """Under which `find_optimizer` knows it; also the source of its suggestions."""
        ...

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """At most `request.count` legal arms, all new or replaceable, and at least one.

        A completed arm may come again under the source `replicate`, where noise limits the front.

        Best first; arms of `request.replaceable` come back only where they are worth it.

        Deterministic, without memory between calls: whatever it knows is in the request.
        Raises: SearchSpaceExhausted where no new legal arm is left; SuggestionFailed where
            this strategy has none, so that another must fill in.
        """
        ...


def find_optimizer(name: str) -> Optimizer:
    """The optimizer of that name; its libraries are imported when it first suggests.

    Raises: ValueError naming the known strategies.
    """
    if name not in _CLASSES:
        raise ValueError(f"unknown strategy {name!r}; known are {', '.join(_CLASSES)}")
    module, class_name = _CLASSES[name]
    return cast(Optimizer, getattr(import_module(module), class_name)())
