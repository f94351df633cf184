"""The demo over several seeds: how long it takes, and how far the search beats its own start.

`python -m benchmarks.demo --seeds 3` runs `archfront demo` once a seed, one after another on an
otherwise idle machine, and prints the table of benchmarks/demo.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from service.storage.database import Database
from service.use_cases.read_experiment import list_experiments
from service.use_cases.read_front import read_front, read_hypervolume


@dataclass(frozen=True)
class Run:
    """What one run of the demo came to."""

    seed: int
    minutes: float
    completed: int
    front_size: int
    hypervolume_first_third: float
    hypervolume: float

    @property
    def gain_percent(self) -> float:
        """How far the hypervolume rose after the quasi-random third."""
        return 100 * (self.hypervolume / self.hypervolume_first_third - 1)


def run_demo(seed: int, folder: Path, trials: int | None) -> Run:
    """Runs the demo with one seed in a fresh folder. Raises: CalledProcessError if it fails."""
    started_s = time.monotonic()
    arguments = ["demo", "--fresh", "--folder", str(folder), "--seed", str(seed)]
    if trials is not None:
        arguments += ["--trials", str(trials)]
    subprocess.run([sys.executable, "-m", "service.cli", *arguments], check=True)
    minutes = (time.monotonic() - started_s) / 60
    database = Database(f"sqlite:///{(folder / 'server' / 'archfront.db').absolute()}")
    with database.read() as connection:
        (experiment,) = list_experiments(connection, limit=1, cursor=None).items
        front = read_front(connection, experiment.id)
        points = read_hypervolume(connection, experiment.id).points
    database.dispose()
    return Run(
        seed=seed,
        minutes=minutes,
        completed=len(points),
        front_size=len(front.front),
        hypervolume_first_third=points[len(points) // 3 - 1].hypervolume,
        hypervolume=points[-1].hypervolume,
    )


def table(runs: list[Run]) -> str:
    """The runs as a Markdown table, with their medians below."""
    lines = [
        "| seed | minutes | completed | on the front | hypervolume, first third | all | gain |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {run.seed} | {run.minutes:.1f} | {run.completed} | {run.front_size} "
        f"| {run.hypervolume_first_third:.4f} | {run.hypervolume:.4f} "
        f"| +{run.gain_percent:.1f} % |"
        for run in runs
    ]
    gains = [run.gain_percent for run in runs]
    lines.append(
        f"\nMedian gain +{statistics.median(gains):.1f} % ({min(gains):.1f} to {max(gains):.1f}), "
        f"median {statistics.median(run.minutes for run in runs):.1f} minutes."
    )
    return "\n".join(lines)


def main() -> None:
    """Runs the demo once a seed and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, help="another budget than the demo's own")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-demo"))
    given = parser.parse_args()
    load = os.getloadavg()[0]
    given.folder.mkdir(parents=True, exist_ok=True)
    runs = [
        run_demo(seed, given.folder / f"seed-{seed}", given.trials) for seed in range(given.seeds)
    ]
    print(f"\n{table(runs)}\n\n{os.cpu_count()} cores; load average {load:.1f} before.")


if __name__ == "__main__":
    main()
