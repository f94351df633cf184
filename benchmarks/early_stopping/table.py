"""Writes what the replays say as a table."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.early_stopping.curves import RecordedTrial
from benchmarks.early_stopping.replay import Outcome, calibration, questions, replay
from service.domain.early_stopping import EarlyStopping
from workers.environment import processor_name

TABLE = Path(__file__).with_name("README.md")
BOUNDS = (0.01, 0.05, 0.1, 0.2)


def tabulate(trials: Sequence[RecordedTrial], orders: int, min_trials: int) -> str:
    """The table, as Markdown."""
    rows = []
    for bound in BOUNDS:
        rule = EarlyStopping(probability_below=bound, min_trials=min_trials)
        rows.append(_row(bound, [replay(trials, rule, seed) for seed in range(orders)]))
    asked = [q for seed in range(orders) for q in questions(trials, min_trials, seed)]
    calibrated = [
        f"| {name} | {count} | {told:.3f} | {joined:.3f} |"
        for name, count, told, joined in calibration(asked)
    ]
    trained = replay(trials, EarlyStopping(min_trials=min_trials), 0).trained
    return _PAGE.format(
        orders=orders,
        recorded=len(trials),
        trained=trained,
        min_trials=min_trials,
        rows="\n".join(rows),
        calibration="\n".join(calibrated),
        machine=f"{processor_name()}, {platform.system()}; torch {version('torch')}",
        cpu_s=f"{median(trial.train_s for trial in trials):.0f}",
    )


def _row(bound: float, outcomes: Sequence[Outcome]) -> str:
    saved = [100 * outcome.steps_saved for outcome in outcomes]
    lost = [100 * outcome.hypervolume_lost for outcome in outcomes]
    points = [outcome.front_lost for outcome in outcomes]
    stopped = [outcome.stopped for outcome in outcomes]
    return (
        f"| {bound:g} | {median(stopped):g} ({min(stopped)} to {max(stopped)}) "
        f"| {median(saved):.0f} % ({min(saved):.0f} to {max(saved):.0f}) "
        f"| {median(lost):.2f} % ({min(lost):.2f} to {max(lost):.2f}) "
        f"| {median(points):g} ({min(points)} to {max(points)}) |"
    )


_PAGE = """# Early stopping on recorded learning curves

`python -m benchmarks.early_stopping replay --orders {orders}`: {recorded} arms of `nlu_encoder`,
the first of the quasi-random sequence, each measured and really trained to its end once
(`record`; curves.jsonl, median {cpu_s} CPU seconds a training). {trained} of them keep the latency
bound of the demo's experiment and are replayed, one training after another, in {orders} random
orders. A training is looked at after each of its 20 points, once {min_trials} others have run to
their end. What is stopped is lost to the front, and to the forecasts of those after it. Median
over the orders (least to most).

| stopped below | trainings stopped | steps saved | hypervolume lost | points of the front lost |
|---|---|---|---|---|
{rows}

How well the probabilities are meant: every look at every training, none being stopped, against
whether it then joined the front of its time.

| probability told | looks | mean told | share that joined |
|---|---|---|---|
{calibration}

{machine}.

## What it says, and what not
The arms are a quasi-random sample, not a search's: towards its end a search proposes arms that lie
near the front, of which fewer can be stopped. One search space, one pair of objectives; the looks
at one training are not independent of each other. Probabilities that are too high cost steps, those
that are too low cost points of the front.
"""
