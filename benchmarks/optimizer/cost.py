"""The CPU seconds of one suggestion over the length of the history, in fresh processes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.optimizer.peers.archfront import first_request
from benchmarks.optimizer.peers.registry import start
from benchmarks.optimizer.problems.registry import find_problem
from benchmarks.optimizer.records import RESULTS_FOLDER
from benchmarks.optimizer.runner import ONE_THREAD, present_commit
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Observation, SuggestRequest, find_optimizer
from workers.environment import processor_name

PROBLEM: Final = "compression24"
_HISTORIAN = "pymoo_nsga2"
_WARM_UP_TRIALS = 12
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cost:
    """One suggestion after `trials` observations, imports and first calls left out."""

    strategy: str
    trials: int
    seed: int
    cpu_s: float
    commit: str
    date: str
    processor: str
    load_average: float


def measure_costs(
    strategy: str, sizes: Sequence[int], seeds: Sequence[int], folder: Path = RESULTS_FOLDER
) -> list[Cost]:
    """Measures every size and seed in a child process and writes cost_<strategy>.json anew.

    Raises: RuntimeError with the child's last words where one fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    costs: list[Cost] = []
    for seed in seeds:
        for size in sizes:
            costs.append(_in_child(strategy, size, seed))
            lines = [json.dumps(asdict(cost)) for cost in costs]
            (folder / f"cost_{strategy}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
            print(f"{strategy} n={size} seed {seed}: {costs[-1].cpu_s:.2f} CPU s", flush=True)
    return costs


def _in_child(strategy: str, size: int, seed: int) -> Cost:
    command = [sys.executable, "-m", "benchmarks.optimizer", "cost-one"]
    command += [strategy, str(size), str(seed)]
    environment = os.environ | ONE_THREAD
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{strategy} after {size} trials, seed {seed}: {reason}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def load_costs(folder: Path = RESULTS_FOLDER, strategy: str = "auto") -> list[Cost]:
    """The kept costs; none yet gives an empty list."""
    path = folder / f"cost_{strategy}.json"
    return [Cost(**row) for row in json.loads(path.read_text())] if path.exists() else []


def measure_here(strategy: str, size: int, seed: int) -> Cost:
    """One suggestion, timed in this process after another on a short history."""
    load_average = os.getloadavg()[0]
    request = request_after(strategy, size, seed)
    short = request.observations[:_WARM_UP_TRIALS]
    optimizer = find_optimizer(strategy)
    optimizer.suggest(request.model_copy(update={"observations": short, "initial_trials": 1}))
    begin_s = time.process_time()
    optimizer.suggest(request)
    return Cost(
        strategy=strategy,
        trials=size,
        seed=seed,
        cpu_s=round(time.process_time() - begin_s, 3),
        commit=present_commit(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        processor=processor_name(),
        load_average=round(load_average, 2),
    )


def request_after(strategy: str, size: int, seed: int) -> SuggestRequest:
    """A request whose history has a front as a search's has: pymoo's NSGA-II made it."""
    problem = find_problem(PROBLEM)
    historian = start(_HISTORIAN, problem, seed, size)
    observations = []
    for _ in range(size):
        arm = historian.ask()
        measured = problem.evaluate(arm, seed)
        historian.tell(arm, measured)
        observations.append(
            Observation(arm=arm, status=TrialStatus.COMPLETED, measurements=measured)
        )
    request = first_request(problem, strategy, seed, size + 1)
    return request.model_copy(update={"observations": tuple(observations)})
