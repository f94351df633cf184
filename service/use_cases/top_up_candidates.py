"""Keeps candidates ready ahead of demand, the best first, never beyond the budget."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count, repeat

from sqlalchemy import Connection

from service.domain.experiment import Experiment
from service.domain.planned_stages import planned_stages
from service.domain.stage_costs import median_stage_costs
from service.domain.trial import REPLICATE_SOURCE, Trial, TrialStatus
from service.optimizer.auto import needs_model
from service.optimizer.optimizer import Observation, Suggestion, SuggestRequest
from service.storage.candidates import (
    LAST_RANK,
    TAUGHT,
    Candidate,
    Proposal,
    confirm_arm,
    insert_candidates,
    pass_over,
    replace_arm,
)
from service.storage.clock import database_now
from service.storage.columns import require_finite
from service.storage.experiments import (
    find_experiment,
    is_space_exhausted,
    lock_experiment,
    record_change,
    set_space_exhausted,
)
from service.storage.repeated_arms import repeatable_trials, running_signatures
from service.storage.trials import (
    known_signatures,
    trials_by_ids,
    trials_of_experiment,
)
from service.use_cases.advance_trial import complete_experiment_if_done
from service.use_cases.candidate_pool import pool_state
from service.use_cases.expected_ends import expected_ends
from service.use_cases.read_sources import sources_of
from service.use_cases.share_trainings import share_trainings

_PENDING = (TrialStatus.CANDIDATE, TrialStatus.RUNNING)


@dataclass(frozen=True)
class PoolChange:
    """What an answer of the model did to the pool, in trial numbers."""

    added: tuple[int, ...]
    replaced: tuple[int, ...]
    kept: tuple[int, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether the answer came too late to be of any use."""
        return not (self.added or self.replaced or self.kept)


def suggestion_request(connection: Connection, experiment_id: str) -> SuggestRequest | None:
    """All that the optimizer is to know, and how many candidates the pool lacks.

    Where the model's turn has come and results are newer than the pool, `replaceable` carries
    the arms that it may replace, and `count` says how many should stand there: these and what
    the pool lacks. Otherwise all candidates are `pending`.
    None: the pool lacks little and is up to date, no new arm is left, or it is not running.
    """
    experiment = find_experiment(connection, experiment_id)
    pool = pool_state(connection, experiment)
    if not pool.is_short and not pool.is_outdated:
        return None
    trials = trials_of_experiment(connection, experiment.id)
    if pool.is_outdated:
        request = _request(connection, experiment, trials, pool.replaceable, pool.shortage)
        if needs_model(request):
            return request
    return _request(connection, experiment, trials, (), pool.shortage) if pool.is_short else None


def history_request(connection: Connection, experiment: Experiment) -> SuggestRequest:
    """All that an optimizer is to know of the experiment, whether or not its pool lacks any."""
    return _request(connection, experiment, trials_of_experiment(connection, experiment.id), (), 1)


def add_candidates(
    connection: Connection,
    experiment_id: str,
    suggestions: Sequence[Suggestion],
    *,
    stand_in: bool = False,
) -> list[Trial]:
    """The new candidates: those that pool and budget still have room for.

    Several suggesters may have answered the same shortage; what is too much is dropped here,
    under the experiment's lock, and so is an arm that a trial already has.
    stand_in: they fill in for the model's: claimed last, and replaced once it answers.
    """
    experiment = lock_experiment(connection, experiment_id)
    pool = pool_state(connection, experiment)
    rank, learnt_from = (LAST_RANK, None) if stand_in else (0, pool.observations)
    new = _new_proposals(connection, experiment, suggestions, repeat(rank), learnt_from)
    return insert_proposals(connection, experiment, new[: pool.shortage])


def renew_pool(
    connection: Connection,
    experiment_id: str,
    request: SuggestRequest,
    suggestions: Sequence[Suggestion],
) -> PoolChange:
    """Makes the model's answer to the request what stands in the pool, the best first.

    A candidate that the request let it replace is kept if the answer names its arm again, and
    else replaced in place: same trial, same number, no budget. Further arms become new
    candidates as far as pool and budget have room. Whatever was claimed in the meantime is left
    alone, and so is what another answer has put there from more observations.
    """
    experiment = lock_experiment(connection, experiment_id)
    pool = pool_state(connection, experiment)
    learnt_from = len(request.observations)
    asked_about = {arm.signature for arm in request.replaceable}
    open_to_change = {
        candidate.arm.signature: candidate
        for candidate in pool.replaceable
        if candidate.arm.signature in asked_about and (candidate.learnt_from or 0) <= learnt_from
    }
    first_rank = 1 if asked_about else _behind_all(pool.candidates)
    kept = []
    repeated = _repeated_trials(connection, experiment.id, suggestions)
    for rank, suggestion in enumerate(suggestions, first_rank):
        candidate = open_to_change.get(suggestion.arm.signature)
        if candidate is None or _is_replicate(candidate) != _is_replicate(suggestion):
            continue
        proposal = _proposal(experiment, suggestion, rank, learnt_from, repeated)
        confirm_arm(connection, experiment.id, candidate, proposal)
        kept.append(candidate.number)
        del open_to_change[suggestion.arm.signature]
    new = _new_proposals(connection, experiment, suggestions, count(first_rank), learnt_from)
    # The worst go first, should there be fewer new arms than places.
    poor = list(open_to_change.values())[::-1]
    places = sorted(poor[: len(new)], key=lambda candidate: candidate.number)
    for place, proposal in zip(places, new, strict=False):
        replace_arm(connection, experiment, place, proposal)
    for candidate in poor[len(new) :]:
        last = first_rank + len(suggestions)
        pass_over(connection, candidate, rank=last, learnt_from=learnt_from)
    rest = new[len(places) :][: pool.shortage]
    added = [trial.number for trial in insert_proposals(connection, experiment, rest)]
    replaced = tuple(place.number for place in places)
    change = PoolChange(tuple(added), replaced, tuple(kept))
    if asked_about and not change.is_nothing:
        data = {"observations": learnt_from, **asdict(change)}
        record_change(connection, experiment.id, "pool_ranked", data=data)
    return change


def insert_proposals(
    connection: Connection, experiment: Experiment, proposals: Sequence[Proposal]
) -> list[Trial]:
    """New candidates of the locked experiment, which consume budget. Raises: BudgetExhausted."""
    stages, now = planned_stages(experiment), database_now(connection)
    ids = insert_candidates(connection, experiment, proposals, stages, now=now)
    share_trainings(connection, experiment)
    return trials_by_ids(connection, ids)


def _new_proposals(
    connection: Connection,
    experiment: Experiment,
    suggestions: Sequence[Suggestion],
    ranks: Iterable[int],
    learnt_from: int | None,
) -> list[Proposal]:
    """The suggestions whose arms no trial has yet, each once; one rank for every suggestion.

    A replicate is let through if a trial has completed its arm and none is running it now.
    """
    known = known_signatures(connection, experiment.id, [s.arm.signature for s in suggestions])
    repeated = _repeated_trials(connection, experiment.id, suggestions)
    under_way = running_signatures(connection, experiment.id, list(repeated))
    new = []
    for rank, suggestion in zip(ranks, suggestions, strict=False):
        signature = suggestion.arm.signature
        if _is_replicate(suggestion):
            is_wanted = signature in repeated and signature not in under_way
        else:
            is_wanted = signature not in known
        if is_wanted:
            new.append(_proposal(experiment, suggestion, rank, learnt_from, repeated))
            known.add(signature)
            under_way.add(signature)
    return new


def _is_replicate(one: Suggestion | Candidate) -> bool:
    return one.source == REPLICATE_SOURCE


def _repeated_trials(
    connection: Connection, experiment_id: str, suggestions: Sequence[Suggestion]
) -> dict[str, int]:
    """By arm signature, the number of the trial that each suggested replicate would repeat."""
    signatures = [s.arm.signature for s in suggestions if _is_replicate(s)]
    return repeatable_trials(connection, experiment_id, signatures) if signatures else {}


def _proposal(
    experiment: Experiment,
    suggestion: Suggestion,
    rank: int,
    learnt_from: int | None,
    repeated: Mapping[str, int],
) -> Proposal:
    require_finite(suggestion.note, "note")
    arm = experiment.space.canonical(suggestion.arm.parameters)
    note = suggestion.note
    if _is_replicate(suggestion):
        note = note | {"replicates": repeated[suggestion.arm.signature]}
    return Proposal(arm, suggestion.source, note, rank, learnt_from)


def _behind_all(candidates: Sequence[Candidate]) -> int:
    """The rank behind all candidates but those that are claimed last anyway."""
    return 1 + max((c.rank for c in candidates if c.rank < LAST_RANK), default=0)


def _request(
    connection: Connection,
    experiment: Experiment,
    trials: Sequence[Trial],
    replaceable: Sequence[Candidate],
    shortage: int,
) -> SuggestRequest:
    spec = experiment.spec
    open_to_change = {candidate.trial_id for candidate in replaceable}
    taught = [trial for trial in trials if trial.status in TAUGHT]
    taught.sort(key=lambda trial: (trial.ended_at or trial.created_at, trial.number))
    ends = expected_ends(connection, experiment, trials)
    return SuggestRequest(
        space=experiment.space,
        objectives=spec.objectives,
        outcome_constraints=spec.outcome_constraints,
        observations=tuple(
            Observation(
                arm=trial.arm,
                status=trial.status,
                measurements=trial.measurements,
                ends=ends.get(trial.id, {}),
            )
            for trial in taught
        ),
        pending=tuple(
            trial.arm
            for trial in trials
            if trial.status in _PENDING and trial.id not in open_to_change
        ),
        partial=tuple(
            Observation(arm=trial.arm, status=trial.status, measurements=trial.measurements)
            for trial in trials
            if trial.status is TrialStatus.RUNNING and trial.measurements
        ),
        replaceable=tuple(candidate.arm for candidate in replaceable),
        excluded=tuple(trial.arm for trial in trials if trial.status not in TAUGHT + _PENDING),
        sources=sources_of(connection, experiment),
        initial_trials=spec.optimizer.initial_trials or 0,
        stage_costs_s=median_stage_costs(trials),
        time_limit_s=spec.optimizer.suggestion_limit_s,
        count=len(replaceable) + shortage,
        seed=spec.seed,
        strategy=spec.optimizer.strategy,
        budget_trials=experiment.budget_trials,
    )


def note_space_exhausted(connection: Connection, experiment_id: str) -> None:
    """No new arm is left: nothing more is asked for, and the experiment ends with its trials."""
    experiment = lock_experiment(connection, experiment_id)
    if is_space_exhausted(connection, experiment.id):
        return
    set_space_exhausted(connection, experiment.id)
    record_change(connection, experiment.id, "space_exhausted")
    complete_experiment_if_done(connection, experiment.id)
