"""An experiment: which space is searched, for what, within which budget."""

import difflib
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from search_spaces.metric import OPTIONAL_METRICS, MetricDefinition
from search_spaces.parameter_space import MAX_PARAMETERS, ParameterConstraint, ParameterSpace
from search_spaces.parameters import Parameter
from search_spaces.values import Name, ShortText, Text, Value
from service.domain.device import THIS_HOST, MeasurementSettings, Target, name_on
from service.domain.early_stopping import EarlyStopping
from service.domain.objective import Objective, OutcomeConstraint
from service.domain.requirements import Requirements
from service.domain.stop_rules import StopRuleName, StopRules, StopVerdict
from service.domain.warm_start import MAX_SOURCES, WarmStart


class ExperimentStatus(StrEnum):
    r"""Where an experiment stands.

    running <--> paused      no new trials start; those under way go on
       |  \________/
       |       `--> stopped   candidates are cancelled, running trials told to stop
       `--> completed         budget spent, or ended by a stop rule, and every trial final;
                              raising the budget, or resuming against the rule, runs on
    """

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    COMPLETED = "completed"


_E = ExperimentStatus
EXPERIMENT_TRANSITIONS: dict[ExperimentStatus, frozenset[ExperimentStatus]] = {
    _E.RUNNING: frozenset({_E.PAUSED, _E.STOPPED, _E.COMPLETED}),
    _E.PAUSED: frozenset({_E.RUNNING, _E.STOPPED, _E.COMPLETED}),
    _E.STOPPED: frozenset(),
    _E.COMPLETED: frozenset({_E.RUNNING, _E.STOPPED}),
}


class SearchSpaceReference(Value):
    """An installed search space; also written `nlu_encoder` or `nlu_encoder@1`."""

    name: Name
    version: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        name, at, version = given.partition("@")
        if not at:
            return {"name": name}
        if not version.isdecimal():
            raise ValueError(f"{version!r} in {given!r} is not a version number; write 'name@1'")
        return {"name": name, "version": int(version)}

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


StrategyName = Literal[
    "auto", "gp", "map_saas", "saasbo", "parego", "ax", "nsga2", "sobol", "random"
]
"""How arms are proposed; `auto` chooses among the others and says why."""

MODEL_FREE_STRATEGIES: frozenset[StrategyName] = frozenset({"nsga2", "sobol", "random"})
"""Those without a surrogate: nothing can be predicted or expected under them."""

MAX_OBJECTIVES = 8
MAX_TARGETS = 20


class OptimizerSettings(Value):
    """Which strategy proposes arms, and how far ahead of demand.

    initial_trials: quasi-random trials before the model proposes (None: 5, and one for every
        eight searched parameters; at most a fifth of the budget, at least 4).
    pool_size: candidates kept ready; new ones are asked for once an eighth of a large pool is gone
        (None: one per busy slot, at least 2). When results come in, the model ranks those that
        nobody has claimed anew, and replaces the poor ones.
    fallback_after_s: who asks while no candidate is ready gets a quasi-random one at once, marked
        `fallback`; above 0, only once the model has given no answer for so long.
    suggestion_limit_s: a model that computes for longer is stopped, and quasi-random candidates
        fill in. `auto` chooses by it too (None: 60 s, or 300 s where Ax may take part).
    """

    strategy: StrategyName = "auto"
    initial_trials: Annotated[int, Field(ge=1, le=10_000)] | None = None
    pool_size: Annotated[int, Field(ge=1, le=1_000)] | None = None
    fallback_after_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    suggestion_limit_s: Annotated[float, Field(gt=0, le=86_400)] | None = None


class Budget(Value):
    """How much the experiment may spend; also written as a bare number of trials."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)]

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, given: Any) -> Any:
        return {"trials": given} if isinstance(given, int) else given


class TrainingSettings(Value):
    """Limits of a `train` stage.

    max_steps: at most so many optimizer steps (None: as the recipe says).
    wall_clock_limit_s: the training is stopped and fails after so long (None: no limit).
    memory_limit_gib: of the training's processes together; an arm that needs more is infeasible
        (None: no limit but the worker's).
    disk_limit_gib: of the files in its work folder; likewise.
    checkpoint_interval_s: so often its state is kept, so that another worker can go on with it
        (None: a training that is broken off starts anew).
    """

    max_steps: Annotated[int, Field(ge=1)] | None = None
    wall_clock_limit_s: Annotated[float, Field(gt=0)] | None = None
    memory_limit_gib: Annotated[float, Field(gt=0)] | None = None
    disk_limit_gib: Annotated[float, Field(gt=0)] | None = None
    checkpoint_interval_s: Annotated[float, Field(gt=0)] | None = 300.0


class ExperimentSpec(Value):
    """What a user asks for.

    Either `search_space` names an installed space, whose trials workers train and measure
    (`parameters` then narrow or fix some of its parameters), or `parameters` and `metrics`
    describe a space whose trials are run elsewhere, through ask and tell.
    targets: the devices that every network is measured on, one after the other; what they give
        is named after them (`latency_ms@rpi5`), on the worker's own host without (`latency_ms`).
    warm_start: earlier experiments whose trials inform the model, the most alike first.
    requires: what a worker must have to be given its trainings.
    """

    name: Name
    description: Text = ""
    search_space: SearchSpaceReference | None = None
    parameters: Annotated[tuple[Parameter, ...], Field(max_length=MAX_PARAMETERS)] = ()
    parameter_constraints: Annotated[tuple[ParameterConstraint, ...], Field(max_length=100)] = ()
    metrics: Annotated[tuple[MetricDefinition, ...], Field(max_length=200)] = ()
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=MAX_OBJECTIVES)]
    outcome_constraints: Annotated[tuple[OutcomeConstraint, ...], Field(max_length=50)] = ()
    optimizer: OptimizerSettings = OptimizerSettings()
    budget: Budget
    stop_rules: StopRules = StopRules()
    early_stopping: EarlyStopping | None = None
    warm_start: Annotated[tuple[WarmStart, ...], Field(max_length=MAX_SOURCES)] = ()
    requires: Requirements = Requirements()
    max_parallel: Annotated[int, Field(ge=1, le=10_000)] = 8
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    training: TrainingSettings = TrainingSettings()
    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=MAX_TARGETS)] = (
        Target(name=THIS_HOST),
    )
    measurement: MeasurementSettings = MeasurementSettings()
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    tags: Annotated[tuple[ShortText, ...], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.search_space is None and not self.parameters:
            raise ValueError("name a search_space, or list parameters for an ask/tell experiment")
        _refuse_repeats("objectives", [objective.metric for objective in self.objectives])
        _refuse_repeats("metrics", [metric.name for metric in self.metrics])
        _refuse_repeats("targets", [target.name for target in self.targets])
        return self

    @property
    def needed_metrics(self) -> tuple[str, ...]:
        """The metrics without which a trial cannot be judged: of objectives and constraints."""
        names = [objective.metric for objective in self.objectives]
        names += [constraint.metric for constraint in self.outcome_constraints]
        return tuple(dict.fromkeys(names))

    def asked_on(self, target: str) -> tuple[str, ...]:
        """Those of `OPTIONAL_METRICS` that are needed of this target, by their bare names."""
        return tuple(
            metric.name
            for metric in OPTIONAL_METRICS
            if name_on(metric.name, target) in self.needed_metrics
        )


def _refuse_repeats(field: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{field} name {', '.join(repeated)} twice; list each of them once")


class Experiment(Value):
    """An accepted experiment: its spec with everything resolved.

    space: the legal arms, the search space's own narrowed by the spec's parameters.
    metrics: all that a completed trial may carry.
    data_version: rises with every change that the experiment, its trials and its front show; not
        with the curves and logs of what is being worked off.
    stopped_by: the stop rule that ended the search; running trials are still finished.
    overruled_stop_rules: those that a person has since switched off, by resuming the search or
        raising its budget.
    """

    id: str
    spec: ExperimentSpec
    space: ParameterSpace
    metrics: tuple[MetricDefinition, ...]
    status: ExperimentStatus
    budget_trials: int
    trials_created: int
    data_version: int
    created_at: datetime
    archived_at: datetime | None = None
    stopped_by: StopVerdict | None = None
    overruled_stop_rules: tuple[StopRuleName, ...] = ()

    @property
    def stop_rules(self) -> StopRules:
        """The stop rules in force."""
        return self.spec.stop_rules.without(self.overruled_stop_rules)

    @property
    def is_external(self) -> bool:
        """Whether its trials are run elsewhere, through ask and tell."""
        return self.spec.search_space is None


def unknown_name_remedy(name: str, known: Iterable[str]) -> str:
    """`Did you mean ...?` where a known name is near, else the list of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(names)}."
