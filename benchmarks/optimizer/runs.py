"""One run: an optimizer on a problem from the first trial to the last, in this process."""

import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.optimizer.peers.peer import Peer
from benchmarks.optimizer.peers.registry import start
from benchmarks.optimizer.problems.problem import Problem
from benchmarks.optimizer.problems.registry import find_problem
from service.domain.hypervolume import GrowingHypervolume


def steps(problem: Problem, peer: Peer, seed: int, trials: int) -> Iterator[tuple[float, float]]:
    """After each trial: the hypervolume so far, and the CPU seconds the optimizer took for it.

    The hypervolume is of the true values of the arms evaluated so far, feasible ones only, noise
    or not. CPU seconds are this process's for `ask` and for the `tell` before it; imports and
    the evaluation itself are left out.
    """
    volume = GrowingHypervolume(problem.reference_point)
    tried: Counter[str] = Counter()  # a repeated arm draws its noise anew
    told_s = 0.0
    for _ in range(trials):
        begin_s = cpu_s(peer)
        arm = peer.ask()
        asked_s = cpu_s(peer) - begin_s
        measured = problem.evaluate(arm, seed, tried[arm.signature])
        tried[arm.signature] += 1
        point = problem.true_point(arm)
        if point is not None:
            volume.add(point)
        yield volume.total, told_s + asked_s
        begin_s = cpu_s(peer)
        peer.tell(arm, measured)
        told_s = cpu_s(peer) - begin_s


def hypervolume_curve(problem: str, optimizer: str, seed: int, trials: int) -> list[float]:
    """The hypervolume after each of `trials` trials: `steps` without the clock.

    Raises: ValueError for an unknown problem or optimizer.
    """
    found = find_problem(problem)
    peer = start(optimizer, found, seed, trials)
    return [volume for volume, _ in steps(found, peer, seed, trials)]


def cpu_s(peer: Peer) -> float:
    """CPU seconds of this process and, where the peer computes in another, of that one."""
    elsewhere = getattr(peer, "cpu_s", None)
    return time.process_time() + (0.0 if elsewhere is None else float(elsewhere))
