"""One sentence on what an experiment is doing, or why nothing happens."""

from collections.abc import Mapping, Sequence

from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.planned_stages import TRAINING
from service.domain.trial import TrialStatus
from service.storage.target_profiles import BoundTarget
from service.use_cases.unmet_stages import AbleWorker, unmet_stages


def explain(
    experiment: Experiment,
    counts: Mapping[TrialStatus, int],
    ready: Mapping[str, int],
    workers: Sequence[AbleWorker],
    *,
    bound: Mapping[str, BoundTarget] | None = None,
    space_exhausted: bool,
    measured_ahead: int = 0,
    model_trouble: str | None = None,
) -> str:
    """The sentence, with a second one if something is amiss.

    counts: trials by status. ready: stages that wait for a worker, by name.
    bound: what the targets are measured on, those that are bound.
    measured_ahead: how many of the running trials have not begun to train.
    workers: those online now. model_trouble: why the model gave no suggestion when asked last.
    """
    running = counts[TrialStatus.RUNNING]
    if experiment.status is ExperimentStatus.COMPLETED:
        return _completed(experiment, counts, space_exhausted=space_exhausted)
    if experiment.status is ExperimentStatus.STOPPED:
        rest = f"; {_trials(running)} told to stop." if running else "."
        return f"Stopped by hand{rest}"
    if experiment.status is ExperimentStatus.PAUSED:
        doing = _paused(running - measured_ahead, measured_ahead)
    elif experiment.is_external:
        doing = _external(counts)
    else:
        lacking = unmet_stages(experiment, workers, bound or {})
        idle = [
            w for w in workers if w.can(TRAINING, experiment) and w.free_slots and not w.is_held
        ]
        doing = _by_workers(
            experiment,
            counts,
            tuple(lacking.values()) if _matters(lacking, counts, ready) else (),
            measured_ahead,
            any_idle=bool(idle),
        )
    if experiment.stopped_by is None:
        return f"{doing}{_stand_ins(model_trouble)}"
    return f"The search has ended: {experiment.stopped_by.reason} {doing}"


def _stand_ins(model_trouble: str | None) -> str:
    if model_trouble is None:
        return ""
    return f" Quasi-random arms stand in for the model's, which gave none: {model_trouble}"


def _completed(
    experiment: Experiment, counts: Mapping[TrialStatus, int], *, space_exhausted: bool
) -> str:
    done = counts[TrialStatus.COMPLETED]
    if experiment.stopped_by is not None:
        return (
            f"The search ended before its budget of {experiment.budget_trials} was spent, by the "
            f"rule {experiment.stopped_by.rule}. {experiment.stopped_by.reason} "
            f"{done} of {_trials(experiment.trials_created)} completed."
        )
    if space_exhausted and experiment.trials_created < experiment.budget_trials:
        return (
            f"No new arm is left to try; {done} of {_trials(experiment.trials_created)} completed."
        )
    return f"The budget is spent; {done} of {_trials(experiment.trials_created)} completed."


def _external(counts: Mapping[TrialStatus, int]) -> str:
    running, waiting = counts[TrialStatus.RUNNING], counts[TrialStatus.CANDIDATE]
    if not running and not waiting:
        return "The optimizer is choosing the next arms."
    parts = []
    if running:
        parts.append(f"{_trials(running)} handed out, awaiting tell")
    if waiting:
        parts.append(f"{waiting} ready to be asked")
    return f"{_sentence(parts)}."


def _paused(under_way: int, measured_ahead: int) -> str:
    told = [f"{_trials(under_way)} being finished"] if under_way else []
    if measured_ahead:
        told.append(f"{measured_ahead} measured ahead of training")
    return f"Paused by hand; {_sentence(told)}." if told else "Paused by hand."


def _by_workers(
    experiment: Experiment,
    counts: Mapping[TrialStatus, int],
    lacking: Sequence[str],
    measured_ahead: int,
    *,
    any_idle: bool,
) -> str:
    running, waiting = counts[TrialStatus.RUNNING], counts[TrialStatus.CANDIDATE]
    if lacking:
        return " ".join(lacking)
    if not running and not waiting:
        return "The optimizer is choosing the next arms."
    if waiting and not running and not any_idle:
        return f"{_trials(waiting)} ready; every able worker is busy elsewhere."
    under_way = running - measured_ahead
    parts = [f"{_trials(under_way)} running"] if under_way else []
    if measured_ahead:
        parts.append(f"{measured_ahead} measured ahead of training")
    if waiting:
        parts.append(f"{waiting} ready to start")
    left = experiment.budget_trials - experiment.trials_created
    if left and experiment.stopped_by is None:
        parts.append(f"{left} of the budget left")
    return f"{_sentence(parts)}."


def _matters(
    lacking: Mapping[str, str], counts: Mapping[TrialStatus, int], ready: Mapping[str, int]
) -> bool:
    """A lack stops everything once nothing else is under way, and is worth saying before."""
    return bool(lacking) and (not counts[TrialStatus.RUNNING] or any(ready.values()))


def _trials(count: int) -> str:
    return f"{count} trial" if count == 1 else f"{count} trials"


def _sentence(parts: Sequence[str]) -> str:
    return ", ".join(parts)
