"""Replays recorded trainings one after another, and stops those that will hardly pay.

The objectives are the demo's. What is stopped is lost to the front and to later forecasts, as it
would be in a search; what is not stopped is compared with how it really ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.early_stopping.curves import RecordedTrial
from service.domain.early_stopping import EarlyStopping
from service.domain.experiment import ExperimentSpec
from service.domain.hypervolume import hypervolume
from service.domain.joining_front import probability_of_joining
from service.domain.learning_curves import Curve, FinishedTraining, forecast_end
from service.domain.measurement import Measurement
from service.domain.missed_bound import missed_bound
from service.domain.pareto import is_non_dominated, oriented

SPEC = ExperimentSpec.model_validate(
    {
        "name": "replay",
        "search_space": "nlu_encoder",
        "objectives": [
            {"metric": "frame_error", "goal": "minimize", "threshold": 1.0},
            {"metric": "latency_ms", "goal": "minimize", "threshold": 0.3},
        ],
        "budget": 1,
    }
)
TRAINED = ("frame_error",)
"""The objectives that a training gives; the others are measured before it."""

_BINS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Question:
    """One look at a training under way, and whether it then joined the front."""

    probability: float
    joined: bool


@dataclass(frozen=True)
class Outcome:
    """What early stopping did to one order of the trials.

    steps_saved: of the steps of all trainings. hypervolume_lost, front_lost: the share of the
        hypervolume, and the number of points of the final front, that it cost.
    """

    trained: int
    stopped: int
    steps_saved: float
    hypervolume_lost: float
    front_lost: int


def replay(trials: Sequence[RecordedTrial], rule: EarlyStopping, seed: int) -> Outcome:
    """The trials in an order drawn with `seed`, one at a time, under `rule`."""
    ordered = _shuffled(trials, seed)
    kept: list[RecordedTrial] = []
    steps_spent = stopped = 0
    for trial in ordered:
        steps = _stopped_at(trial, kept, rule)
        if steps is None:
            kept.append(trial)
            steps_spent += _last_step(trial)
        else:
            stopped += 1
            steps_spent += steps
    everything = _hypervolume(ordered)
    front = {trial.number for trial in _front(ordered)}
    return Outcome(
        trained=len(ordered),
        stopped=stopped,
        steps_saved=1 - steps_spent / sum(map(_last_step, ordered)),
        hypervolume_lost=1 - _hypervolume(kept) / everything,
        front_lost=len(front - {trial.number for trial in kept}),
    )


def questions(trials: Sequence[RecordedTrial], min_trials: int, seed: int) -> Iterator[Question]:
    """Every look at every training, none being stopped, in an order drawn with `seed`."""
    known: list[RecordedTrial] = []
    for trial in _shuffled(trials, seed):
        if len(known) >= min_trials:
            front = _points(_front(known))
            own = _points([trial])[0]
            beaten = ((front >= own).all(axis=1) & (front > own).any(axis=1)).any()
            joined = not beaten and missed_bound(SPEC, trial.measurements, z=0.0) is None
            for prefix in _prefixes(trial):
                probability = _probability(prefix, trial, known)
                if probability is not None:
                    yield Question(probability, joined)
        known.append(trial)


def calibration(asked: Sequence[Question]) -> list[tuple[str, int, float, float]]:
    """By range of the probability told: how many looks, its mean, the share that joined."""
    rows = []
    for low, high in pairwise(_BINS):
        last = high == _BINS[-1]
        inside = [q for q in asked if low <= q.probability < high or (last and q.probability == 1)]
        if inside:
            told = float(np.mean([question.probability for question in inside]))
            joined = float(np.mean([question.joined for question in inside]))
            rows.append((f"{low:g} to {high:g}", len(inside), told, joined))
    return rows


def _stopped_at(
    trial: RecordedTrial, finished: Sequence[RecordedTrial], rule: EarlyStopping
) -> int | None:
    """After how many steps the rule stops the training; None: it runs to its end."""
    if len(finished) < rule.min_trials:
        return None
    for prefix in _prefixes(trial):
        step = max(points[-1][0] for points in prefix.values())
        if step < rule.min_steps:
            continue
        probability = _probability(prefix, trial, finished)
        if probability is not None and probability < rule.probability_below:
            return step
    return None


def _probability(
    prefix: Curve, trial: RecordedTrial, finished: Sequence[RecordedTrial]
) -> float | None:
    known = [
        FinishedTraining(_curve(done), {n: m.mean for n, m in done.measurements.items()})
        for done in finished
    ]
    forecasts = {
        metric: found
        for metric in TRAINED
        if (found := forecast_end(prefix, known, metric)) is not None
    }
    measured = {"latency_ms": trial.measurements["latency_ms"]}
    return probability_of_joining(SPEC, _points(_front(finished)), measured, forecasts)


def _prefixes(trial: RecordedTrial) -> Iterator[Curve]:
    """The curve as it stood after each of its points but the last, which ends the training."""
    for length in range(1, len(trial.curve)):
        yield _curve(trial, length)


def _curve(trial: RecordedTrial, length: int | None = None) -> Curve:
    curve: dict[str, list[tuple[int, float]]] = {}
    for point in trial.curve[:length]:
        for metric, value in point.metrics.items():
            curve.setdefault(metric, []).append((point.step, value))
    return dict(curve)


def _shuffled(trials: Sequence[RecordedTrial], seed: int) -> list[RecordedTrial]:
    """Those that would be trained at all: an arm that misses a bound is not."""
    trained = [trial for trial in trials if missed_bound(SPEC, _measured_first(trial)) is None]
    order = np.random.default_rng(seed).permutation(len(trained))
    return [trained[index] for index in order]


def _measured_first(trial: RecordedTrial) -> dict[str, Measurement]:
    return {name: m for name, m in trial.measurements.items() if name not in TRAINED}


def _last_step(trial: RecordedTrial) -> int:
    return trial.curve[-1].step


def _points(trials: Sequence[RecordedTrial]) -> NDArray[np.float64]:
    return oriented(SPEC.objectives, [trial.measurements for trial in trials])


def _front(trials: Sequence[RecordedTrial]) -> list[RecordedTrial]:
    best = is_non_dominated(_points(trials))
    return [trial for trial, stands in zip(trials, best, strict=True) if stands]


def _hypervolume(trials: Sequence[RecordedTrial]) -> float:
    reference = np.array([o.sign * (o.threshold or 0.0) for o in SPEC.objectives])
    return hypervolume(_points(trials), reference)
