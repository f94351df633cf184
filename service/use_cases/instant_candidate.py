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
from service.optimizer.auto import needs_model
from service.optimizer.optimizer import find_optimizer
from service.storage.candidates import Proposal, arms_of_experiment
from service.storage.claims import lacks_beginning
from service.storage.experiments import record_change
from service.storage.trials import known_signatures
from service.use_cases.candidate_pool import accepts_candidates
from service.use_cases.top_up_candidates import insert_proposals, suggestion_request

FALLBACK_EVENT = "suggester_fallback"

_TRIES = 3
"""So many points of the sequence are tried before all known arms are read."""


def warm_up() -> None:
    """Loads what `add_instant_candidate` needs: about a second of imports, once."""
    for module in ("sobol", "random", "starting_arms"):
        import_module(f"service.optimizer.{module}")


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
    proposal = _proposal(connection, experiment)
    if proposal is None:
        return False
    (trial,) = insert_proposals(connection, experiment, [proposal])
    if trial.source == FALLBACK_SOURCE:
        record_change(connection, experiment.id, FALLBACK_EVENT, trial.number, trial.note)
    return True


def _proposal(connection: Connection, experiment: Experiment) -> Proposal | None:
    settings = experiment.spec.optimizer
    begun, first = experiment.trials_created, settings.initial_trials or 0
    begins = settings.strategy == "auto" and begun < first
    try:
        if begins or settings.strategy == "random":
            own = _by_the_strategy(connection, experiment)
            if own is not None:
                return own
        arm = _next_of_sequence(connection, experiment)
    except SearchSpaceExhausted:
        return None
    if settings.strategy == "sobol":
        return Proposal(arm, "sobol", {})
    if begins:
        return Proposal(arm, "sobol", {"why": f"Quasi-random: one of the first {first}."})
    note = {"why": "Quasi-random, in the model's stead. No candidate was ready when one was asked."}
    return Proposal(arm, FALLBACK_SOURCE, note)


def _by_the_strategy(connection: Connection, experiment: Experiment) -> Proposal | None:
    """What the suggester would add next where no model is asked; None if the pool lacks nothing.

    That is so where trials are just being measured ahead of their training.
    """
    request = suggestion_request(connection, experiment.id)
    if request is None or needs_model(request):
        return None
    one = request.model_copy(update={"count": 1})
    suggestion = find_optimizer(request.strategy).suggest(one)[0]
    arm = experiment.space.canonical(suggestion.arm.parameters)
    return Proposal(arm, suggestion.source, suggestion.note)


def _next_of_sequence(connection: Connection, experiment: Experiment) -> Arm:
    """The next point of the experiment's sequence that no trial has.

    Raises: SearchSpaceExhausted.
    """
    from service.optimizer.sobol import new_arms  # noqa: PLC0415  (SciPy: see `warm_up`)

    space, seed, position = experiment.space, experiment.spec.seed, experiment.trials_created
    for ahead in range(_TRIES):
        (arm,) = new_arms(space, (), 1, seed, position + ahead)
        arm = space.canonical(arm.parameters)
        if not known_signatures(connection, experiment.id, [arm.signature]):
            return arm
    known = arms_of_experiment(connection, experiment.id)
    return space.canonical(new_arms(space, known, 1, seed, position)[0].parameters)
