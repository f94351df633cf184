"""The default strategy: a few arms to begin with, then the model that suits the problem."""

from service.domain.experiment import MODEL_FREE_STRATEGIES, StrategyName
from service.optimizer.axes import axes_of
from service.optimizer.history import MAX_MODELLED_ARMS, can_be_modelled
from service.optimizer.optimizer import Suggestion, SuggestRequest, find_optimizer

MAX_OBJECTIVES_BY_BOXES = 3
"""Beyond it the front leaves too many boxes open to compute the improvement exactly."""
_MAX_OBJECTIVES_BY_SAMPLES = 4

_BY_AX: tuple[StrategyName, ...] = ("ax", "map_saas", "saasbo", "parego")
_USUAL_LIMIT_S = 60.0
LONGEST_LIMIT_S = 300.0
"""For a suggestion of a strategy of Ax's, where nobody says."""


class AutoOptimizer:
    """The middle of the space, quasi-random arms up to `initial_trials`, then Bayesian search."""

    name = "auto"

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """The arms of the strategy whose turn it is; the note says which and why."""
        if is_beginning(request):
            from service.optimizer.starting_arms import (  # noqa: PLC0415  (it loads SciPy)
                starting_arms,
            )

            return starting_arms(request)
        strategy, why = _choice(request)
        return [
            suggestion.model_copy(
                update={
                    "note": {
                        **suggestion.note,
                        "why": f"{suggestion.note.get('why', '')} {why}".strip(),
                    }
                }
            )
            for suggestion in find_optimizer(strategy).suggest(request)
        ]


def is_beginning(request: SuggestRequest) -> bool:
    """Whether arms are still given out before the model is asked."""
    return request.arms_so_far < request.initial_trials


def needs_model(request: SuggestRequest) -> bool:
    """Whether the answer to the request takes a model fit: tenths of a second, or seconds."""
    strategy = request.strategy
    if strategy == "auto":
        if is_beginning(request):
            return False
        strategy, _ = _choice(request)
    return strategy not in MODEL_FREE_STRATEGIES and can_be_modelled(request)


def usual_limit_s(strategy: StrategyName, objective_count: int) -> float:
    """How long a suggestion may take where nobody says: what hangs starves a search for so long.

    Our own surrogate answers in seconds at a thousand trials, with a minute to spare on a busy
    machine; Ax may take minutes.
    """
    chooses_ax = strategy == "auto" and objective_count > MAX_OBJECTIVES_BY_BOXES
    return LONGEST_LIMIT_S if chooses_ax or strategy in _BY_AX else _USUAL_LIMIT_S


def _choice(request: SuggestRequest) -> tuple[StrategyName, str]:
    """The strategy for objectives, trials and time, and the reason in words."""
    objectives, trials = len(request.objectives), request.arms_so_far
    if objectives <= MAX_OBJECTIVES_BY_BOXES:
        parameters = len(axes_of(request.space))
        return "gp", (
            f"Strategy gp: the improvement is exact for {objectives} objectives, "
            f"and takes seconds with {parameters} parameters and {trials} trials."
        )
    obstacle = _obstacle_to_ax(request)
    if obstacle is not None:
        return (
            "nsga2",
            f"Strategy nsga2, which needs no model for {objectives} objectives: {obstacle}.",
        )
    about = f"about {_ax_seconds(trials):.0f} s at {trials} trials"
    if objectives <= _MAX_OBJECTIVES_BY_SAMPLES:
        return (
            "ax",
            f"Strategy ax: the improvement is sampled for {objectives} objectives, {about}.",
        )
    return "parego", f"Strategy parego: a random scalarisation of {objectives} objectives, {about}."


def _obstacle_to_ax(request: SuggestRequest) -> str | None:
    """Why no strategy of Ax's should be asked; None if one may."""
    trials, seconds = request.arms_so_far, _ax_seconds(request.arms_so_far)
    if trials > MAX_MODELLED_ARMS:
        return f"Ax would not see all of the {trials} trials, but {MAX_MODELLED_ARMS}"
    needed, limit_s = seconds * request.count, request.time_limit_s
    if limit_s is not None and needed > limit_s:
        return f"Ax would take about {needed:.0f} s for this answer, which may take {limit_s:g} s"
    trial_s = sum(request.stage_costs_s.values())
    if 0 < trial_s < seconds:
        return f"Ax would take about {seconds:.0f} s per arm, a whole trial takes {trial_s:.2g} s"
    return None


def _ax_seconds(trials: int) -> float:
    """What Ax takes per arm for four and more objectives, on one core.

    Measured with 13 mixed parameters: 4 s at 30 trials, 10 s at 100, 55 s at 300.
    """
    return 4.0 + trials**2 / 1_800.0
