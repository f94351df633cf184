"""What a stage of an experiment's trials usually takes."""

import statistics
from collections.abc import Iterable

from service.domain.trial import StageStatus, Trial, TrialStatus


def median_stage_costs(trials: Iterable[Trial]) -> dict[str, float]:
    """Seconds by stage: the median over the completed trials that worked the stage off themselves.

    Lost and failed attempts count: they were paid for. A stage that nobody has completed is
    left out, and so is a training that was another trial's, which took this one no time.
    """
    spent: dict[str, list[float]] = {}
    for trial in trials:
        if trial.status is not TrialStatus.COMPLETED:
            continue
        for stage in trial.stages:
            # results attached by hand took no time of anybody's
            if stage.status is StageStatus.COMPLETED and stage.spent_s > 0:
                spent.setdefault(stage.name, []).append(stage.spent_s)
    return {stage: statistics.median(seconds) for stage, seconds in spent.items()}
