"""A search space: what may be built, from which paper, and which metrics come out of it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from search_spaces.arm import Arm
from search_spaces.metric import MEASURED_METRICS, TRAINED_METRICS, MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import ChoiceParameter
from search_spaces.values import Name, ShortText, Text, Value


class Citation(Value):
    """The work a search space reproduces."""

    title: ShortText
    authors: ShortText
    year: int
    url: ShortText = ""


class SearchSpace(Value):
    """A named, versioned search space that installed workers can train.

    `version` rises whenever equal arms would no longer give comparable results.
    `metrics` are those of its `train` stage, those of its `measure` stage that depend on
    evaluation parameters (given by `NestedRecipe.evaluate`), and those of it that the device
    decides too (`by_device`; given by `DeployedRecipe.evaluate_deployed`); every space also gives
    `TRAINED_METRICS` and `MEASURED_METRICS`, and `OPTIONAL_METRICS` where an experiment asks.
    `baseline` is the hand-made arm a front is expected to beat.
    `measures_untrained`: whether a network with weights of no meaning measures like the trained
    one, because shapes alone decide its speed. Its arms can then be measured before a training
    is spent on them. False where training decides the shapes, or where the runtime takes
    advantage of the values (sparse kernels, data-dependent depth).
    `precision_parameter` names the evaluation parameter that decides in which precision an arm is
    exported and measured; None: the experiment decides, for all arms alike.
    """

    name: Name
    version: Annotated[int, Field(ge=1)]
    title: ShortText
    description: Text
    citation: Citation
    space: ParameterSpace
    metrics: Annotated[tuple[MetricDefinition, ...], Field(min_length=1)]
    baseline: Arm
    measures_untrained: bool = False
    precision_parameter: Name | None = None

    @model_validator(mode="after")
    def _baseline_is_legal(self) -> Self:
        problems = self.space.problems_with(self.baseline.parameters)
        if problems:
            raise ValueError(f"the baseline lies outside the space: {problems}")
        return self

    @model_validator(mode="after")
    def _evaluated_after_training(self) -> Self:
        evaluated = [metric.name for metric in self.evaluated_metrics + self.deployed_metrics]
        if evaluated and self.measures_untrained:
            raise ValueError(
                f"{', '.join(evaluated)} of the measure stage need trained weights; "
                "set measures_untrained to false"
            )
        return self

    @model_validator(mode="after")
    def _every_arm_has_a_precision(self) -> Self:
        name = self.precision_parameter
        if name is None:
            return self
        parameter = self.space.by_name.get(name)
        if name not in self.evaluation_parameters or not isinstance(parameter, ChoiceParameter):
            raise ValueError(
                f"precision_parameter names {name!r}, which must be a choice among the "
                "evaluation_parameters: no training depends on how its network is exported"
            )
        if parameter.when is not None:
            raise ValueError(f"{name}.when leaves arms without a precision; leave it out")
        return self

    @property
    def evaluation_parameters(self) -> tuple[Name, ...]:
        """The parameters that no training depends on; see `ParameterSpace`."""
        return self.space.evaluation_parameters

    @property
    def trained_metrics(self) -> tuple[MetricDefinition, ...]:
        """The space's own metrics that training gives."""
        return tuple(metric for metric in self.metrics if metric.stage != "measure")

    @property
    def evaluated_metrics(self) -> tuple[MetricDefinition, ...]:
        """The space's own metrics that a trial's first measure stage gives, whatever the device."""
        return tuple(
            metric for metric in self.metrics if metric.stage == "measure" and not metric.by_device
        )

    @property
    def deployed_metrics(self) -> tuple[MetricDefinition, ...]:
        """The space's own metrics that every measure stage gives, of its device."""
        return tuple(
            metric for metric in self.metrics if metric.stage == "measure" and metric.by_device
        )

    @property
    def all_metrics(self) -> tuple[MetricDefinition, ...]:
        """What a finished trial of this space carries: its own metrics, then everyone's."""
        return self.metrics + TRAINED_METRICS + MEASURED_METRICS
