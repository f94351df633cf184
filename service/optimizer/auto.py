"""The default strategy: fill the space first, then follow the model."""

from service.optimizer.history import can_be_modelled
from service.optimizer.optimizer import Suggestion, SuggestRequest, find_optimizer


class AutoOptimizer:
    """`initial_trials` quasi-random arms, then Bayesian optimization."""

    name = "auto"

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """The arms of the strategy whose turn it is; the note says which and why."""
        missing = request.initial_trials - request.arms_so_far
        if missing <= 0:
            return find_optimizer("ax").suggest(request)
        first = request.arms_so_far
        wanted = request.model_copy(update={"count": min(request.count, missing)})
        return [
            suggestion.model_copy(update={"note": {"why": self._why(request, first + number)}})
            for number, suggestion in enumerate(find_optimizer("sobol").suggest(wanted))
        ]

    @staticmethod
    def _why(request: SuggestRequest, number: int) -> str:
        return f"Quasi-random: arm {number + 1} of the first {request.initial_trials}."


def needs_model(request: SuggestRequest) -> bool:
    """Whether the answer to the request takes a model fit, seconds rather than milliseconds."""
    if request.strategy == "sobol":
        return False
    fills_first = request.strategy == "auto" and request.arms_so_far < request.initial_trials
    return not fills_first and can_be_modelled(request)
