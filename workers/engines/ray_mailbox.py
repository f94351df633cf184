"""Carries words between a worker and its stages on a Ray cluster, for a running task hears nothing.

It keeps only the last word of each side; both repeat themselves, by absolute positions in log and
curve. So nothing is lost where it is: Ray may start it anew, empty, on another machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Told:
    """What a running stage tells: its log and its curve from these bytes on.

    run: which start of the stage it is; Ray starts one anew whose machine has died.
    number: of this word; also one without news is a sign of life.
    starts: how many starts have told of themselves, this one among them; the mailbox counts them.
    checkpoint: after how many steps the newest one is, and a reference to its bytes, in a list.
    """

    run: str
    node: str
    number: int = 0
    starts: int = 1
    log_from: int = 0
    log: bytes = b""
    curve_from: int = 0
    curve: bytes = b""
    checkpoint: tuple[int, Sequence[Any]] | None = None


@dataclass(frozen=True)
class Asked:
    """What the worker asks of a stage: to go on from the bytes it has of `run`; to stop.

    keep: to keep its state as soon as it can.
    """

    run: str = ""
    log_bytes: int = 0
    curve_bytes: int = 0
    stop: bool = False
    keep: bool = False


class Mailbox:
    """One for each worker, as a Ray actor. key: of one stage's lease and no other."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}
        self._asked: dict[str, Asked] = {}

    def tell(self, key: str, told: Told) -> Asked:
        """The stage's side: leaves its word and hears the worker's."""
        former = self._told.get(key, told)
        starts = former.starts + (former.run != told.run)
        self._told[key] = replace(told, starts=starts)
        return self._asked.get(key, Asked())

    def ask(self, key: str, asked: Asked) -> Told | None:
        """The worker's side: leaves its word and hears the stage's, None if there is none yet."""
        self._asked[key] = asked
        return self._told.get(key)

    def forget(self, key: str) -> None:
        """There is nothing more to say."""
        self._told.pop(key, None)
        self._asked.pop(key, None)
