"""The optimizers by name: our strategies under their own names, the peers under theirs."""

from typing import Final

from benchmarks.optimizer.peers.peer import Peer
from benchmarks.optimizer.problems.problem import Problem

PEER_NAMES: Final = (
    "ax_default",
    "optuna_gp",
    "optuna_tpe",
    "optuna_nsga2",
    "pymoo_nsga2",
    "vizier",
)
"""Everyone else's; whatever is not named here is a strategy of ours."""

QUASI_RANDOM: Final = "sobol"
"""Our quasi-random strategy: the floor that every other must beat."""


def start(optimizer: str, problem: Problem, seed: int, trials: int) -> Peer:
    """The named optimizer at the beginning of a run of `trials` trials.

    Raises: ValueError for an unknown name; PeerUnavailable where its environment lacks it.
    """
    # each peer's library is imported only where that peer runs
    if optimizer == "ax_default":
        from benchmarks.optimizer.peers.ax import AxPeer  # noqa: PLC0415

        return AxPeer(problem, seed)
    if optimizer.startswith("optuna_"):
        from benchmarks.optimizer.peers.optuna import OptunaPeer  # noqa: PLC0415

        return OptunaPeer(problem, optimizer.removeprefix("optuna_"), seed)
    if optimizer == "pymoo_nsga2":
        from benchmarks.optimizer.peers.pymoo import PymooPeer  # noqa: PLC0415

        return PymooPeer(problem, seed)
    if optimizer == "vizier":
        from benchmarks.optimizer.peers.vizier import VizierPeer  # noqa: PLC0415

        return VizierPeer(problem, seed)
    from benchmarks.optimizer.peers.archfront import ArchfrontPeer  # noqa: PLC0415

    return ArchfrontPeer(problem, optimizer, seed, trials)
