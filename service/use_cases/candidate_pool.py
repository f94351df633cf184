"""What an experiment's pool of candidates holds, what it lacks, and what in it is out of date."""

from dataclasses import dataclass

from sqlalchemy import Connection

from service.domain.experiment import MODEL_FREE_STRATEGIES, Experiment, ExperimentStatus
from service.storage.attempts import open_lease_count
from service.storage.candidates import (
    Candidate,
    candidates_of,
    experiments_with_candidates,
    taught_trial_count,
)
from service.storage.experiments import (
    find_experiment,
    is_space_exhausted,
    running_experiments_with_budget,
)
from service.storage.measured_ahead import measured_ahead_count

_LEAST_POOL = 2
_PARTS = 8
"""Of a pool; once one of them is gone, it is asked for."""
_QUASI_RANDOM = "sobol"


@dataclass(frozen=True)
class PoolState:
    """The pool of one experiment at one moment.

    shortage: how many more candidates there should be, and may be within the budget.
    is_short: whether that is worth asking for: an eighth of a large pool is asked for at once,
        since each answer costs a fit of the model and keeps claims waiting while it is written.
    replaceable: the candidates in whose place the model may put better ones. Arms chosen by
        hand, requeued trials and the quasi-random initial ones stay as they are.
    observations: how many trials an optimizer can learn from now.
    """

    candidates: tuple[Candidate, ...]
    shortage: int
    is_short: bool
    replaceable: tuple[Candidate, ...]
    observations: int

    @property
    def is_outdated(self) -> bool:
        """Whether results have come in since one of the replaceable arms was proposed."""
        return self.observations > 0 and any(
            candidate.learnt_from is None or candidate.learnt_from < self.observations
            for candidate in self.replaceable
        )


@dataclass(frozen=True)
class PoolNeed:
    """That an experiment's pool needs an optimizer: it lacks candidates, or has outdated ones."""

    experiment_id: str
    is_short: bool
    is_empty: bool


def pools_in_need(connection: Connection) -> list[PoolNeed]:
    """The pools of running experiments that are short or outdated, the oldest experiment first."""
    ids = running_experiments_with_budget(connection) + experiments_with_candidates(connection)
    needs = []
    for experiment_id in dict.fromkeys(ids):
        pool = pool_state(connection, find_experiment(connection, experiment_id))
        if pool.is_short or pool.is_outdated:
            is_empty = not pool.candidates
            needs.append(PoolNeed(experiment_id, is_short=pool.is_short, is_empty=is_empty))
    return needs


def pool_state(connection: Connection, experiment: Experiment) -> PoolState:
    """The pool as it stands now."""
    candidates = candidates_of(connection, experiment.id)
    if not accepts_candidates(connection, experiment):
        return PoolState(tuple(candidates), 0, is_short=False, replaceable=(), observations=0)
    pool_size = experiment.spec.optimizer.pool_size
    if pool_size is None:
        pool_size = max(_LEAST_POOL, open_lease_count(connection, experiment.id))
    # A trial measured ahead of its training is still in the pool: were it not counted, the whole
    # budget would be measured before anything is learnt from a training.
    in_pool = len(candidates) + measured_ahead_count(connection, experiment.id)
    budget_left = experiment.budget_trials - experiment.trials_created
    lacking = pool_size - in_pool
    shortage = max(0, min(budget_left, lacking))
    return PoolState(
        candidates=tuple(candidates),
        shortage=shortage,
        is_short=shortage > 0 and lacking >= pool_size // _PARTS,
        replaceable=_replaceable(experiment, candidates),
        observations=taught_trial_count(connection, experiment.id),
    )


def accepts_candidates(connection: Connection, experiment: Experiment) -> bool:
    """Whether its search goes on: candidates may come in, and their arms may change."""
    if experiment.status is not ExperimentStatus.RUNNING or experiment.stopped_by is not None:
        return False
    return not is_space_exhausted(connection, experiment.id)


def _replaceable(experiment: Experiment, candidates: list[Candidate]) -> tuple[Candidate, ...]:
    """The candidates that the model may replace, in the order in which they are claimed."""
    settings = experiment.spec.optimizer
    if settings.strategy in MODEL_FREE_STRATEGIES:
        return ()
    unclaimed = [candidate for candidate in candidates if candidate.is_replaceable]
    begun = experiment.trials_created - len(unclaimed)
    initial_left = max(0, (settings.initial_trials or 0) - begun)
    quasi_random = [c.trial_id for c in unclaimed if c.source == _QUASI_RANDOM]
    kept = set(quasi_random[:initial_left])
    found = [candidate for candidate in unclaimed if candidate.trial_id not in kept]
    return tuple(sorted(found, key=lambda candidate: (candidate.rank, candidate.number)))
