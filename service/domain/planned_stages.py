"""The stages that a new trial goes through, in order."""

from dataclasses import dataclass

from search_spaces.metric import MetricDefinition
from service.domain.device import OfferedTarget
from service.domain.experiment import Experiment
from service.domain.trial import Stage, StageKind, Trial


@dataclass(frozen=True)
class PlannedStage:
    """A stage to be.

    target, runtime: what a measurement is taken on, and in.
    optional_metrics: those that it has to give besides, by their bare names.
    """

    name: str
    kind: StageKind
    target: str | None = None
    runtime: str | None = None
    optional_metrics: tuple[str, ...] = ()

    def fits(self, offered: OfferedTarget) -> bool:
        """Whether this measurement can be taken there."""
        return (
            offered.name == self.target
            and self.runtime in offered.runtimes
            and set(self.optional_metrics) <= set(offered.metrics)
        )


TRAINING = PlannedStage("train", "train")

BY_HAND = (PlannedStage("external", "external"),)
"""Those of a trial that is run elsewhere."""


def planned_stages(experiment: Experiment) -> tuple[PlannedStage, ...]:
    """A training, and a measurement on each target in the order that the experiment names them.

    The measurements come first where arms are measured before they are trained.
    """
    if experiment.is_external:
        return BY_HAND
    spec = experiment.spec
    measurements = tuple(
        PlannedStage(
            target.stage_name,
            "measure",
            target.name,
            target.settings(spec.measurement).chosen_runtime,
            spec.asked_on(target.name),
        )
        for target in spec.targets
    )
    return (*measurements, TRAINING) if spec.measurement.untrained else (TRAINING, *measurements)


def metrics_of_stage(
    experiment: Experiment, trial: Trial, stage: Stage
) -> tuple[MetricDefinition, ...]:
    """Those that the stage of the trial has to report.

    What a measurement gives on any device alike (the size of the network, metrics that depend on
    evaluation parameters) is reported by the first of the trial's measurements alone.
    """
    first = next((one.id for one in trial.stages if one.kind == "measure"), None)
    targets = (stage.target, None) if stage.id == first else (stage.target,)
    return tuple(
        metric
        for metric in experiment.metrics
        if metric.stage == stage.kind and metric.target in targets
    )
