"""The stages of an experiment that no worker online can take, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from service.domain.device import THIS_HOST, OfferedTarget
from service.domain.experiment import Experiment
from service.domain.planned_stages import PlannedStage, planned_stages
from service.storage.attempts import open_lease_counts
from service.storage.clock import database_now
from service.storage.target_profiles import BoundTarget
from service.storage.workers import current_workers

METRIC_REMEDIES: Mapping[str, str] = {
    "instruction_count": (
        "install valgrind and a C compiler on {worker}, on whose own host alone instructions are "
        "counted, and start it again"
    ),
    "energy_mj": (
        "let {worker} read a counter of energy (Linux: /sys/class/powercap/intel-rapl:*/energy_uj; "
        "GPUs: NVML; Android: the battery, off its charger), and start it again"
    ),
}
"""What makes a worker offer an optional metric, by the metric's bare name."""


@dataclass(frozen=True)
class AbleWorker:
    """What of an online worker decides whether it can help."""

    name: str
    is_held: bool
    stages: Sequence[str]
    search_spaces: Sequence[tuple[str, int]]
    targets: Sequence[OfferedTarget]
    labels: Mapping[str, str]
    resources: Mapping[str, float]
    free_slots: int

    def can(self, stage: PlannedStage, experiment: Experiment) -> bool:
        """Whether it takes such a stage of the experiment, on whatever device it has."""
        reference = experiment.spec.search_space
        if reference is None or stage.kind not in self.stages:
            return False
        if (reference.name, reference.version) not in self.search_spaces:
            return False
        if stage.target is None:
            return experiment.spec.requires.met_by(self.labels, self.resources)
        return self._offers(stage) is not None

    def compares(self, stage: PlannedStage, bound: BoundTarget | None) -> bool:
        """Whether what it would measure compares with what was measured on the target before."""
        offered = self._offers(stage)
        if offered is None or stage.runtime is None or bound is None:
            return True
        return offered.comparison_key(stage.runtime) == bound.comparison_key

    def _offers(self, stage: PlannedStage) -> OfferedTarget | None:
        return next((target for target in self.targets if stage.fits(target)), None)


def online_workers(connection: Connection) -> list[AbleWorker]:
    """The workers that are online now."""
    now = database_now(connection)
    online = [w for w in current_workers(connection) if w.status_at(now) == "online"]
    busy = open_lease_counts(connection, [worker.id for worker in online])
    return [
        AbleWorker(
            name=worker.name,
            is_held=worker.is_held,
            stages=worker.stages,
            search_spaces=worker.search_spaces,
            targets=worker.targets,
            labels=worker.labels,
            resources=worker.resources,
            free_slots=worker.slots - busy[worker.id],
        )
        for worker in online
    ]


def unmet_stages(
    experiment: Experiment, workers: Sequence[AbleWorker], bound: Mapping[str, BoundTarget]
) -> dict[str, str]:
    """The stages that none of the workers takes, by name, each with a sentence on why."""
    found = {}
    for stage in sorted(planned_stages(experiment), key=lambda stage: stage.kind, reverse=True):
        all_able = [worker for worker in workers if worker.can(stage, experiment)]
        able = [worker for worker in all_able if not worker.is_held]
        on = bound.get(stage.target or "")
        if not all_able:
            found[stage.name] = _lacking_metrics(experiment, stage, workers) or (
                f"No worker that can {_deed(experiment, stage)} is online."
            )
        elif not able:
            names = ", ".join(sorted(worker.name for worker in all_able))
            found[stage.name] = (
                f"Whoever can {_deed(experiment, stage)} is paused or in quarantine: {names}."
            )
        elif on is not None and not any(worker.compares(stage, on) for worker in able):
            found[stage.name] = (
                f"No worker online measures on a {stage.target} like {on.device} in "
                f"{on.runtime} {on.runtime_version}, where the figures so far come from, and "
                "those of another would not compare; bring it back, or start a new experiment "
                "from this one's trials (warm_start)."
            )
    return found


def _lacking_metrics(
    experiment: Experiment, stage: PlannedStage, workers: Sequence[AbleWorker]
) -> str | None:
    """Which optional metrics keep it from workers that could take it but for them, and a remedy."""
    bare = replace(stage, optional_metrics=())
    given = [
        {name for target in worker.targets if bare.fits(target) for name in target.metrics}
        for worker in workers
        if worker.can(bare, experiment)
    ]
    if not given:
        return None
    # Each may be given somewhere, and yet nowhere all of them: then all are told.
    lacking = [
        name for name in stage.optional_metrics if not any(name in one for one in given)
    ] or list(stage.optional_metrics)
    worker = "the worker" if stage.target == THIS_HOST else f"the worker of {stage.target}"
    remedies = "; ".join(METRIC_REMEDIES[name].format(worker=worker) for name in lacking)
    return (
        f"No worker online that can {_deed(experiment, stage)} gives {' and '.join(lacking)} "
        f"there: {remedies}."
    )


def _deed(experiment: Experiment, stage: PlannedStage) -> str:
    reference = experiment.spec.search_space
    name = f"{reference.name}@{reference.version}" if reference else "the trials"
    if stage.target is None:
        needed = str(experiment.spec.requires)
        return f"train {name} (requires {needed})" if needed else f"train {name}"
    where = "its own host" if stage.target == THIS_HOST else stage.target
    return f"measure {name} with {stage.runtime} on {where}"
