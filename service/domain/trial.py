"""A trial, its stages, and the one table of the states they go through."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from search_spaces.arm import Arm
from search_spaces.values import MetricName, Value
from service.domain.errors import TransitionRefused
from service.domain.measurement import Measurement


class TrialStatus(StrEnum):
    """Where a trial stands.

        candidate --> running --> completed
            |   ^        |------> infeasible      the arm's own fault: diverged, does not fit
            |   |        |------> early_stopped   told to stop; its measurements so far count
            |   |        |------> failed          the machine's or the recipe's fault
            |   |        `------> cancelled       a person's wish
            |   `--- requeue ---- failed, cancelled
            `--------> cancelled, completed, infeasible (results attached by hand)

    `completed`, `infeasible` and `early_stopped` are final for good; `failed` and `cancelled`
    are final unless a person requeues the trial, which the events record.
    """

    CANDIDATE = "candidate"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    INFEASIBLE = "infeasible"
    EARLY_STOPPED = "early_stopped"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing but a person's requeue leads out of it."""
        return self not in (TrialStatus.CANDIDATE, TrialStatus.RUNNING)


_S = TrialStatus
TRIAL_TRANSITIONS: dict[TrialStatus, frozenset[TrialStatus]] = {
    _S.CANDIDATE: frozenset({_S.RUNNING, _S.CANCELLED, _S.COMPLETED, _S.INFEASIBLE}),
    _S.RUNNING: frozenset({_S.COMPLETED, _S.INFEASIBLE, _S.EARLY_STOPPED, _S.FAILED, _S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.INFEASIBLE: frozenset(),
    _S.EARLY_STOPPED: frozenset(),
    _S.FAILED: frozenset({_S.CANDIDATE}),
    _S.CANCELLED: frozenset({_S.CANDIDATE}),
}


def next_status(current: TrialStatus, wanted: TrialStatus) -> TrialStatus:
    """`wanted`, if the table leads there from `current`.

    Raises: TransitionRefused otherwise.
    """
    if wanted not in TRIAL_TRANSITIONS[current]:
        ways = ", ".join(sorted(TRIAL_TRANSITIONS[current])) or "nothing"
        raise TransitionRefused(f"A {current} trial cannot become {wanted}; it leads to {ways}.")
    return wanted


class StageStatus(StrEnum):
    """Where a stage stands: `waiting` for an earlier one, `ready`, `leased`, or ended.

    A lost or failed attempt leads from `leased` back to `ready` while attempts are left.
    """

    WAITING = "waiting"
    READY = "ready"
    LEASED = "leased"
    COMPLETED = "completed"
    FAILED = "failed"
    INFEASIBLE = "infeasible"
    EARLY_STOPPED = "early_stopped"
    CANCELLED = "cancelled"


class AttemptOutcome(StrEnum):
    """How one attempt at a stage ended; whose fault it was decides what comes next."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # the recipe's error: not retried blindly
    MACHINE_FAILED = "machine_failed"  # out of memory, segfault, device gone: retried
    LOST = "lost"  # no heartbeat came in time: retried
    PREEMPTED = "preempted"  # the worker drained: retried, not counted
    INFEASIBLE = "infeasible"
    EARLY_STOPPED = "early_stopped"
    CANCELLED = "cancelled"


StageKind = Literal["train", "measure", "external"]
MANUAL_SOURCE = "manual"
"""The source of the arms that a person chose."""

TrialSource = Annotated[str, Field(max_length=50)]
"""Who proposed the arm: an optimizer strategy's name, `manual`, `fallback` or `replicate`."""

FALLBACK_SOURCE = "fallback"
"""The source of quasi-random arms that stand in for the model's."""

REPLICATE_SOURCE = "replicate"
"""The source of trials that run an arm again for the sake of its noise.

Their note's `replicates` is the number of the trial that they repeat.
"""


class Stage(Value):
    """One leg of a trial: `epoch` rises with every lease, `attempts` count against the limit.

    spent_s: seconds of its attempts that have ended, also of the lost and failed ones.
    target: what a measurement is taken on.
    shared_with: the number of the trial whose training is this one's too; it then costs nothing.
    """

    id: str
    name: str
    kind: StageKind
    target: str | None = None
    position: int
    status: StageStatus
    epoch: int
    attempts: int
    worker_id: str | None = None
    lease_id: str | None = None
    expires_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    spent_s: float = 0.0
    shared_with: int | None = None


class TrialCost(Value):
    """What a trial really took: seconds of its attempts, by stage; 0 for a training it shares.

    shared_with: the number of the trial that paid for the training.
    """

    spent_s: dict[str, float] = {}
    shared_with: int | None = None


class Trial(Value):
    """One arm on its way through the stages; `number` counts from 0 within its experiment.

    stop_requested: its worker is told at the next heartbeat to `stop` early and report what
        there is, or to `cancel`: drop the work.
    training_key: equal for the trials of an experiment that share one training; None: it trains
        for itself.
    """

    id: str
    experiment_id: str
    number: int
    arm: Arm
    training_key: str | None = None
    status: TrialStatus
    source: TrialSource
    note: dict[str, Any] = {}
    reason: str | None = None
    stop_requested: Literal["stop", "cancel"] | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stages: tuple[Stage, ...] = ()
    measurements: dict[MetricName, Measurement] = {}

    @property
    def cost(self) -> TrialCost:
        """What the trial really took."""
        return TrialCost(
            spent_s={stage.name: round(stage.spent_s, 3) for stage in self.stages},
            shared_with=next(
                (s.shared_with for s in self.stages if s.shared_with is not None), None
            ),
        )

    @property
    def awaits_training(self) -> bool:
        """Whether it has a training that has never begun; it may be measured ahead of it."""
        return any(
            stage.kind == "train"
            and stage.epoch == 0
            and stage.status in (StageStatus.WAITING, StageStatus.READY)
            for stage in self.stages
        )
