"""A candidate at once, where a worker asks and the pool is empty: quasi-random, in milliseconds.

It runs in the transaction of the claim, in a process without any model. `warm_up` loads what
it needs ahead of the first claim, so that the process starts quickly all the same.
"""

from importlib import import_module

from sqlalchemy import Connection

from search_spaces.arm import Arm
from service.domain.errors import SearchSpaceExhausted
from service.domain.experiment import Experiment
from service.domain.trial import FALLBACK_SOURCE
from service.storage.candidates import Proposal, arms_of_experiment
from service.storage.claims import lacks_beginning
from service.storage.experiments import record_change
from service.storage.trials import known_signatures
from service.use_cases.candidate_pool import accepts_candidates
from service.use_cases.top_up_candidates import insert_proposal

FALLBACK_EVENT = "suggester_fallback"

_TRIES = 3
"""So many points of the sequence are tried before all known arms are read."""


def warm_up() -> None:
    """Loads what `add_instant_candidate` needs: about a second of imports, once."""
    import_module("service.optimizer.sobol")


def add_instant_candidate(connection: Connection, experiment: Experiment) -> bool:
    """Adds one quasi-random candidate to the empty pool of the locked experiment.

    Marked `fallback` where the model's turn has come; before, it is the next of the initial
    ones. False, with nothing changed, if a trial is ready to begin, the experiment prefers to
    wait for the model, no trial may be created or begun, or no new arm is found.
    """
    is_spent = experiment.trials_created >= experiment.budget_trials
    if is_spent or experiment.spec.optimizer.fallback_after_s > 0:
        return False
    if not accepts_candidates(connection, experiment):
        return False
    if not lacks_beginning(connection, experiment.id):
        return False
    arm = _next_arm(connection, experiment)
    if arm is None:
        return False
    trial = insert_proposal(connection, experiment, _proposal(experiment, arm))
    if trial.source == FALLBACK_SOURCE:
        record_change(connection, experiment.id, FALLBACK_EVENT, trial.number, trial.note)
    return True


def _proposal(experiment: Experiment, arm: Arm) -> Proposal:
    settings = experiment.spec.optimizer
    begun, first = experiment.trials_created, settings.initial_trials or 0
    if settings.strategy == "sobol":
        return Proposal(arm, "sobol", {})
    if settings.strategy == "auto" and begun < first:
        note = {"why": f"Quasi-random: arm {begun + 1} of the first {first}."}
        return Proposal(arm, "sobol", note)
    note = {"why": "Quasi-random, in the model's stead. No candidate was ready when one was asked."}
    return Proposal(arm, FALLBACK_SOURCE, note)


def _next_arm(connection: Connection, experiment: Experiment) -> Arm | None:
    """The next point of the experiment's sequence that no trial has; None if none is found."""
    from service.optimizer.sobol import new_arms  # noqa: PLC0415  (SciPy: see `warm_up`)

    space, seed, position = experiment.space, experiment.spec.seed, experiment.trials_created
    try:
        for ahead in range(_TRIES):
            (arm,) = new_arms(space, (), 1, seed, position + ahead)
            arm = space.canonical(arm.parameters)
            if not known_signatures(connection, experiment.id, [arm.signature]):
                return arm
        known = arms_of_experiment(connection, experiment.id)
        (arm,) = new_arms(space, known, 1, seed, position)
    except SearchSpaceExhausted:
        return None
    return space.canonical(arm.parameters)
