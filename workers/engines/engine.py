"""What the daemon asks of an engine: whether there is room for a stage, and to run it there."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from workers.stage_order import StageOrder
from workers.stage_result import StageCompleted, StageFailed, StageInfeasible


@dataclass(frozen=True)
class Offer:
    """What experiments may require of the machines behind an engine (see `Requirements`).

    resources: of each the most that one machine has.
    """

    resources: Mapping[str, float]
    labels: Mapping[str, str]


class StageRun(Protocol):
    """A stage under way. Leaving the `with` block breaks it off, with all that it has started.

    Meanwhile the order's work folder, on the worker's machine, fills as if the stage ran there:
    its log and its learning curve grow and are never rewritten. Where the engine itself has to
    start a stage anew, after a machine's death, the curve's steps come again.
    """

    def wait(self, timeout_s: float) -> StageCompleted | StageInfeasible | StageFailed | None:
        """How the stage ended, its files on the worker's machine; None if it still runs.

        A machine that died, or an engine that gave up, is the machine's fault; a stage that the
        engine could not place, or was told to give up, is preempted.
        """
        ...

    def stop(self) -> None:
        """Lets the training end before its next point; telling it again is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Place(Protocol):
    """Room that is kept for one stage, until it is closed."""

    def run(self, order: StageOrder) -> StageRun:
        """Begins the stage; the order's work folder exists, with its inputs.

        Raises: OSError or ArchfrontError if it cannot be begun.
        """
        ...

    def close(self) -> None:
        """Gives the room back."""
        ...


class Engine(Protocol):
    """Runs stages, from several threads at once. Closing it ends whatever it still runs."""

    def offer(self) -> Offer:
        """What the machines have by now. Raises: ArchfrontError if they cannot be asked."""
        ...

    def place(self, slot: int) -> Place | None:
        """Room for one more stage in the worker's slot; None: there is none now.

        Asked before a stage is leased, so that none is that would have to wait for a machine.
        """
        ...

    def close(self) -> None:
        """Lets the engine go."""
        ...
