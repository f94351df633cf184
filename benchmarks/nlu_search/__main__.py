"""`python -m benchmarks.nlu_search run | page`: see README.md here."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.nlu_search.records import QUASI_RANDOM, RESULTS, TRIALS, write_page
from benchmarks.nlu_search.trained import TABLE, TrainedArms
from benchmarks.optimizer.peers.peer import Peer
from benchmarks.optimizer.peers.registry import start
from benchmarks.optimizer.problems.problem import Problem
from benchmarks.optimizer.runs import steps
from benchmarks.records import add, measured_on, read
from benchmarks.source_commit import commit_of
from search_spaces.arm import Arm
from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from service.domain.measurement import Measurement

_PACKAGES = ("torch", "botorch", "gpytorch", "ax-platform")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs those searches that are not kept yet, seed by seed, on one thread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nlu_search")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="search, training what is not kept yet")
    running.add_argument("--optimizers", nargs="+", default=[QUASI_RANDOM, "auto", "saasbo"])
    running.add_argument("--seeds", type=int, nargs="+", default=list(range(3)))
    running.add_argument("--trials", type=int, default=TRIALS)
    running.add_argument("--results", type=Path, default=RESULTS)
    running.add_argument("--table", type=Path, default=TABLE)
    running.add_argument("--max-steps", type=int, help="for a trial of the benchmark itself")
    commands.add_parser("page", help="write README.md from what is kept")
    given = parser.parse_args(arguments)
    if given.command == "page":
        write_page()
        return
    torch.set_num_threads(1)
    arms = TrainedArms(given.table, max_steps=given.max_steps)
    done = {(line["optimizer"], line["seed"]) for line in read(given.results)}
    for seed in given.seeds:
        for optimizer in given.optimizers:
            if (optimizer, seed) not in done:
                search(arms, optimizer, seed, given.trials, given.results)


def search(arms: TrainedArms, optimizer: str, seed: int, trials: int, results: Path) -> None:
    """One search from its first trial to its last, kept with its front."""
    problem = arms.problem()
    peer = _Remembering(start(optimizer, problem, seed, trials))
    taken = list(steps(problem, peer, seed, trials))
    line = {
        "optimizer": optimizer,
        "seed": seed,
        "hypervolume": [volume for volume, _ in taken],
        "cpu_s": round(sum(seconds for _, seconds in taken), 2),
        "front": _front(problem, peer.arms),
        "baseline": _figures(problem, SEARCH_SPACE.baseline),
        "commit": commit_of("service/optimizer"),
        **measured_on(_PACKAGES),
    }
    add(line, results)
    print(optimizer, seed, f"{taken[-1][0]:.4f}", flush=True)


class _Remembering:
    """A peer, and what it has asked for."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.arms: list[Arm] = []
        self.version = peer.version

    def ask(self) -> Arm:
        self.arms.append(self._peer.ask())
        return self.arms[-1]

    def tell(self, arm: Arm, measured: dict[str, Measurement]) -> None:
        self._peer.tell(arm, measured)


def _figures(problem: Problem, arm: Arm) -> list[float]:
    values = problem.true_values(arm)
    return [values[objective.metric] for objective in problem.objectives]


def _front(problem: Problem, arms: Sequence[Arm]) -> list[list[float]]:
    """The figures of the arms that no other is better than, the least error first."""
    front: list[list[float]] = []
    for error, latency_ms in sorted(_figures(problem, arm) for arm in arms):
        if not front or latency_ms < front[-1][1]:
            front.append([error, latency_ms])
    return front


if __name__ == "__main__":
    main()
