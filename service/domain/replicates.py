"""Replicates: trials that run an arm again for the sake of its noise, pooled with the first.

The pooled mean weighs each measurement by the inverse of its variance. Where the measurements
lie farther apart than their standard errors explain, as they do when only the training's seed
differs, the pooled error is widened by the scale factor S of the Particle Data Group [PDG].

[PDG] Particle Data Group, "Review of Particle Physics", section 5.2.2 (2024).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.measurement import Measurement
from service.domain.trial import REPLICATE_SOURCE, Trial, TrialCost, TrialStatus


@dataclass(frozen=True)
class PooledTrial:
    """A trial whose measurements are those of all its repeats taken together.

    replicates: the numbers of the trials that repeated it. cost: of all of them.
    """

    trial: Trial
    replicates: tuple[int, ...]
    cost: TrialCost


def pool_replicates(trials: Sequence[Trial]) -> list[PooledTrial]:
    """The trials in their order, each completed replicate merged into the trial that it repeats.

    A replicate that did not complete, or repeats one that did not, stands for itself.
    """
    completed = {trial.number: trial for trial in trials if trial.status is TrialStatus.COMPLETED}
    repeats: dict[int, list[Trial]] = {}
    merged = set()
    for trial in completed.values():
        original = completed.get(_repeated_number(trial))
        if original is not None and original.arm.signature == trial.arm.signature:
            repeats.setdefault(original.number, []).append(trial)
            merged.add(trial.number)
    return [
        _pooled(trial, repeats.get(trial.number, []))
        for trial in trials
        if trial.number not in merged
    ]


def pool_measurements(repeats: Sequence[Measurement]) -> Measurement:
    """One measurement from at least one of the same quantity, in the same unit.

    With all standard errors known: the mean weighted by their inverse squares; its error
    widened where the means scatter more than it explains. A standard error of 0 outweighs all
    others. With one unknown: the plain mean and the standard error of the scatter.
    n adds up; the protocol is the first's, with how many trials were pooled.
    """
    first = repeats[0]
    if len(repeats) == 1:
        return first
    mean, sem = _weighted(repeats)
    return first.model_copy(
        update={
            "mean": mean,
            "sem": sem,
            "n": sum(one.n for one in repeats),
            "protocol": first.protocol | {"pooled_trials": len(repeats)},
        }
    )


def is_replicate(trial: Trial) -> bool:
    """Whether the trial repeats an earlier one's arm for the sake of its noise."""
    return trial.source == REPLICATE_SOURCE


def _repeated_number(trial: Trial) -> int:
    number = trial.note.get("replicates") if is_replicate(trial) else None
    return number if isinstance(number, int) and number != trial.number else -1


def _pooled(trial: Trial, repeats: Sequence[Trial]) -> PooledTrial:
    if not repeats:
        return PooledTrial(trial, (), trial.cost)
    everyone = (trial, *repeats)
    names = dict.fromkeys(name for one in everyone for name in one.measurements)
    found = {
        name: pool_measurements(
            [one.measurements[name] for one in everyone if name in one.measurements]
        )
        for name in names
    }
    spent_s: dict[str, float] = {}
    for one in everyone:
        for stage, seconds in one.cost.spent_s.items():
            spent_s[stage] = round(spent_s.get(stage, 0.0) + seconds, 3)
    return PooledTrial(
        trial.model_copy(update={"measurements": found}),
        tuple(sorted(one.number for one in repeats)),
        TrialCost(spent_s=spent_s, shared_with=trial.cost.shared_with),
    )


def _weighted(repeats: Sequence[Measurement]) -> tuple[float, float]:
    """The pooled mean and its standard error."""
    sems = [one.sem for one in repeats if one.sem is not None]
    if len(sems) < len(repeats):
        means = [one.mean for one in repeats]
        return statistics.fmean(means), statistics.stdev(means) / math.sqrt(len(means))
    smallest = min(sems)
    if smallest == 0:
        exact = [one.mean for one in repeats if one.sem == 0]
        scatter = statistics.stdev(exact) / math.sqrt(len(exact)) if len(exact) > 1 else 0.0
        return statistics.fmean(exact), scatter
    # Relative to the smallest: no square underflows or overflows.
    weights = [(smallest / sem) ** 2 for sem in sems]
    total = math.fsum(weights)
    mean = math.fsum(w * (one.mean / total) for w, one in zip(weights, repeats, strict=True))
    sem = smallest / math.sqrt(total)
    chi_squared = math.fsum(
        ((one.mean - mean) / error) ** 2 for one, error in zip(repeats, sems, strict=True)
    )
    return mean, sem * max(1.0, math.sqrt(chi_squared / (len(repeats) - 1)))
