"""An experiment's candidates as rows: which may be replaced, and in which order they go.

Whatever changes them runs under the experiment's lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, insert, or_, select, update

from search_spaces.arm import Arm
from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.planned_stages import PlannedStage
from service.domain.training_key import training_key
from service.domain.trial import (
    MANUAL_SOURCE,
    REPLICATE_SOURCE,
    StageStatus,
    TrialStatus,
)
from service.storage.experiments import raise_data_version, record_change, take_trial_numbers
from service.storage.identifiers import new_id
from service.storage.tables import experiments, stages, trials

TAUGHT = (TrialStatus.COMPLETED, TrialStatus.INFEASIBLE, TrialStatus.EARLY_STOPPED)
"""How a trial ends from which an optimizer learns."""

FIRST_RANK = -1
"""The rank of candidates that a person has asked for: claimed first, and never replaced."""

LAST_RANK = 1_000_000
"""The rank of candidates that are claimed when no other is left."""


@dataclass(frozen=True)
class Proposal:
    """An arm for the pool, who proposed it and why; `rank` and `learnt_from` as in Candidate."""

    arm: Arm
    source: str
    note: dict[str, Any]
    rank: int = 0
    learnt_from: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A trial that has not begun.

    rank: the lowest is claimed first, then the lowest number.
    learnt_from: how many observations the arm was proposed from; None: it stands in for one
        that the model could not propose.
    is_replaceable: an optimizer proposed it, nobody has ever claimed it, no person has asked
        for it, and no other trial has trained for it already.
    """

    trial_id: str
    number: int
    arm: Arm
    source: str
    rank: int
    learnt_from: int | None
    is_replaceable: bool


def insert_candidates(
    connection: Connection,
    experiment: Experiment,
    proposals: Sequence[Proposal],
    planned: Sequence[PlannedStage],
    *,
    now: datetime,
) -> list[str]:
    """Adds candidates to the locked experiment, consuming its budget; gives the trials' ids.

    Their first stages are ready, the others wait. As many statements for many as for one, since
    workers wait for the lock.
    Raises: BudgetExhausted.
    """
    if not proposals:
        return []
    numbers = take_trial_numbers(connection, experiment, len(proposals))
    ids = [new_id("trial") for _ in proposals]
    connection.execute(
        insert(trials),
        [
            {
                "id": trial_id,
                "experiment_id": experiment.id,
                "number": number,
                **_arm_columns(experiment, proposal),
                "status": TrialStatus.CANDIDATE,
                "source": proposal.source,
                "note": proposal.note,
                "pool_rank": proposal.rank,
                "learnt_from": proposal.learnt_from,
                "created_at": now,
            }
            for trial_id, number, proposal in zip(ids, numbers, proposals, strict=True)
        ],
    )
    connection.execute(
        insert(stages),
        [
            {
                "id": new_id("stage"),
                "trial_id": trial_id,
                "experiment_id": experiment.id,
                "name": stage.name,
                "kind": stage.kind,
                "target": stage.target,
                "runtime": stage.runtime,
                "position": position,
                "status": StageStatus.WAITING if position else StageStatus.READY,
                "ready_at": None if position else now,
                "epoch": 0,
                "attempts": 0,
            }
            for trial_id in ids
            for position, stage in enumerate(planned)
        ],
    )
    for number, proposal in zip(numbers, proposals, strict=True):
        data = {"source": proposal.source}
        record_change(connection, experiment.id, "trial_candidate", number, data)
    return ids


def candidates_of(connection: Connection, experiment_id: str) -> list[Candidate]:
    """The experiment's candidates in the order of their numbers."""
    was_leased = exists().where(
        stages.c.trial_id == trials.c.id,
        or_(stages.c.epoch > 0, stages.c.shared_attempt_id.is_not(None)),
    )
    query = (
        select(
            trials.c.id,
            trials.c.number,
            trials.c.parameters,
            trials.c.source,
            trials.c.pool_rank,
            trials.c.learnt_from,
            was_leased.label("was_leased"),
        )
        .where(trials.c.experiment_id == experiment_id, trials.c.status == TrialStatus.CANDIDATE)
        .order_by(trials.c.number)
    )
    return [
        Candidate(
            trial_id=row.id,
            number=row.number,
            arm=Arm(parameters=row.parameters),
            source=row.source,
            rank=row.pool_rank,
            learnt_from=row.learnt_from,
            is_replaceable=row.source != MANUAL_SOURCE
            and row.pool_rank > FIRST_RANK
            and not row.was_leased,
        )
        for row in connection.execute(query)
    ]


def arms_of_experiment(connection: Connection, experiment_id: str) -> list[Arm]:
    """The arms of all its trials, in the order of their numbers."""
    query = (
        select(trials.c.parameters)
        .where(trials.c.experiment_id == experiment_id)
        .order_by(trials.c.number)
    )
    return [Arm(parameters=parameters) for parameters in connection.scalars(query)]


def experiments_with_candidates(connection: Connection) -> list[str]:
    """Ids of the running experiments that have candidates, the oldest first."""
    has_candidates = exists().where(
        trials.c.experiment_id == experiments.c.id, trials.c.status == TrialStatus.CANDIDATE
    )
    query = (
        select(experiments.c.id)
        .where(experiments.c.status == ExperimentStatus.RUNNING, has_candidates)
        .order_by(experiments.c.created_at, experiments.c.id)
    )
    return list(connection.scalars(query))


def taught_trial_count(connection: Connection, experiment_id: str) -> int:
    """How many trials of the experiment an optimizer can learn from."""
    query = (
        select(func.count())
        .select_from(trials)
        .where(trials.c.experiment_id == experiment_id, trials.c.status.in_(TAUGHT))
    )
    return connection.scalar(query) or 0


def replace_arm(
    connection: Connection, experiment: Experiment, candidate: Candidate, proposal: Proposal
) -> None:
    """Gives a replaceable candidate another arm; its row, number and place in the budget stay."""
    _update(connection, candidate, proposal, _arm_columns(experiment, proposal))
    was = {"source": candidate.source, "parameters": candidate.arm.parameters}
    data = {"source": proposal.source, "was": was}
    record_change(connection, experiment.id, "candidate_replaced", candidate.number, data)


def confirm_arm(
    connection: Connection, experiment_id: str, candidate: Candidate, proposal: Proposal
) -> None:
    """Keeps a replaceable candidate's arm; renews why, and in which order, it stands there."""
    _update(connection, candidate, proposal, {})
    raise_data_version(connection, experiment_id)


def put_first(connection: Connection, trial_id: str) -> None:
    """Lets a candidate that a person has asked for be the first to be claimed."""
    connection.execute(update(trials).where(trials.c.id == trial_id).values(pool_rank=FIRST_RANK))


def pass_over(connection: Connection, candidate: Candidate, *, rank: int, learnt_from: int) -> None:
    """Notes that the model named the candidate's arm not again, yet nothing to put in its place."""
    connection.execute(
        update(trials)
        .where(trials.c.id == candidate.trial_id)
        .values(pool_rank=rank, learnt_from=learnt_from)
    )


def model_trouble(connection: Connection, experiment_id: str) -> str | None:
    """Why the model gave no suggestion when it was asked last; None if it gave one."""
    trouble: str | None = connection.scalar(
        select(experiments.c.model_trouble).where(experiments.c.id == experiment_id)
    )
    return trouble


def set_model_trouble(connection: Connection, experiment_id: str, trouble: str | None) -> None:
    """Notes why the model gave no suggestion, or that it gives some again."""
    connection.execute(
        update(experiments).where(experiments.c.id == experiment_id).values(model_trouble=trouble)
    )


def _update(
    connection: Connection, candidate: Candidate, proposal: Proposal, arm: dict[str, Any]
) -> None:
    changed = connection.execute(
        update(trials)
        .where(trials.c.id == candidate.trial_id, trials.c.status == TrialStatus.CANDIDATE)
        .values(
            source=proposal.source,
            note=proposal.note,
            pool_rank=proposal.rank,
            learnt_from=proposal.learnt_from,
            **arm,
        )
    )
    if changed.rowcount != 1 or not candidate.is_replaceable:
        raise RuntimeError(f"trial {candidate.number} is no candidate that may be replaced")


def _arm_columns(experiment: Experiment, proposal: Proposal) -> dict[str, Any]:
    is_replicate = proposal.source == REPLICATE_SOURCE
    return {
        "parameters": proposal.arm.parameters,
        "arm_signature": proposal.arm.signature,
        "training_key": training_key(experiment.space, proposal.arm, is_replicate=is_replicate),
    }
