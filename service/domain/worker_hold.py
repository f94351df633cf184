"""Workers that get no work for a while, and why."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from search_spaces.values import Text, Value
from service.domain.trial import AttemptOutcome

QUARANTINE_AFTER = 4
"""So many attempts of a worker in a row, of more than one trial, fail by the machine's fault."""

QUARANTINE = timedelta(minutes=30)
"""Then it gets another chance: a full disk may have been emptied meanwhile."""

TELLING_OUTCOMES = (
    AttemptOutcome.SUCCEEDED,
    AttemptOutcome.EARLY_STOPPED,
    AttemptOutcome.INFEASIBLE,
    AttemptOutcome.FAILED,
    AttemptOutcome.MACHINE_FAILED,
)
"""What tells of the machine. A lost lease does not: the network, or the server, may be at fault."""


class WorkerHold(Value):
    """Why a worker gets no new stage; those it holds go on.

    paused: by a person. quarantined: it failed again and again.
    until: when it ends by itself; None: when a person resumes the worker.
    """

    kind: Literal["paused", "quarantined"]
    note: Text = ""
    held_at: datetime
    until: datetime | None = None


def is_failing(newest: Sequence[tuple[AttemptOutcome, str]]) -> bool:
    """Whether a worker's newest telling attempts, (outcome, trial id) each, are all failures.

    One trial that breaks whatever machine it runs on says nothing of the machine.
    """
    failures = [trial for outcome, trial in newest if outcome is AttemptOutcome.MACHINE_FAILED]
    return len(failures) == len(newest) >= QUARANTINE_AFTER and len(set(failures)) > 1
