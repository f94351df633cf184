"""The default strategy: a few arms to begin with, then the model that suits the problem."""

from service.optimizer.history import can_be_modelled
from service.optimizer.optimizer import Suggestion, SuggestRequest, find_optimizer

MAX_OBJECTIVES_BY_BOXES = 3
"""Beyond it the front leaves too many boxes open to compute the improvement exactly."""
_MAX_OBJECTIVES_BY_SAMPLES = 4

_WITHOUT_MODEL = ("sobol", "random", "nsga2")


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
                update={"note": {**suggestion.note, "why": f"{suggestion.note['why']} {why}"}}
            )
            for suggestion in find_optimizer(strategy).suggest(request)
        ]


def is_beginning(request: SuggestRequest) -> bool:
    """Whether arms are still given out before the model is asked."""
    return request.arms_so_far < request.initial_trials


def needs_model(request: SuggestRequest) -> bool:
    """Whether the answer to the request takes a model fit: tenths of a second, or seconds."""
    if request.strategy in _WITHOUT_MODEL:
        return False
    begins = request.strategy == "auto" and is_beginning(request)
    return not begins and can_be_modelled(request)


def _choice(request: SuggestRequest) -> tuple[str, str]:
    """The strategy for the number of objectives and trials, and the reason in words."""
    objectives = len(request.objectives)
    if objectives <= MAX_OBJECTIVES_BY_BOXES:
        return "gp", f"Strategy gp: the improvement is exact for {objectives} objectives."
    if objectives <= _MAX_OBJECTIVES_BY_SAMPLES:
        return "ax", f"Strategy ax: the improvement is sampled for {objectives} objectives."
    return "parego", f"Strategy parego: a random scalarisation of {objectives} objectives."
