"""A model process with an optimizer that misbehaves as its argument says."""

import os
import signal
import sys
import time

from service.background.model_worker import claim_standard_streams, serve
from service.domain.errors import SearchSpaceExhausted, SuggestionFailed
from service.domain.insight import Forecast, Insight, Prediction
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.optimizer.sobol import SobolOptimizer


class OddOptimizer:
    """Quasi-random arms with the source `model`, after or instead of some mischief."""

    name = "odd"

    def __init__(self, mischief: str) -> None:
        self._mischief = mischief

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        print("a library prints to standard output")
        match self._mischief:
            case "hang":
                time.sleep(3600)
            case "slow":
                time.sleep(1.5)
            case "fickle":  # every result changes its mind about everything
                seed = request.seed + 1 + len(request.observations)
                request = request.model_copy(update={"seed": seed, "replaceable": ()})
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fail":
                raise SuggestionFailed("The kernel matrix is singular.")
            case "exhausted":
                raise SearchSpaceExhausted("No legal arm is left.")
            case "bug":
                raise KeyError("unforeseen")
        return [
            suggestion.model_copy(update={"source": "model"})
            for suggestion in SobolOptimizer().suggest(request)
        ]


class OddLook:
    """What was measured, as a forecast; with mischief of its own."""

    def __init__(self, mischief: str) -> None:
        self._mischief = mischief

    def __call__(self, request: SuggestRequest) -> Insight:
        match self._mischief:
            case "insight_hang":
                time.sleep(3600)
            case "insight_crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "insight_bug":
                raise KeyError("unforeseen")
        seen = request.observations
        forecasts = tuple(
            Forecast(
                arm=one.arm,
                predictions={
                    name: Prediction(mean=found.mean, sd=0.1)
                    for name, found in one.measurements.items()
                },
                probability_on_front=0.5,
            )
            for one in seen
        )
        return Insight(
            forecasts=forecasts,
            predicted_front=forecasts[:1],
            expected_gain=0.25,
            relative_expected_gain=1.0 / (1 + len(seen)),
            observations=len(seen),
            strategy="odd",
        )


if __name__ == "__main__":
    if sys.argv[1] == "no_start":
        sys.exit(3)
    serve(OddOptimizer(sys.argv[1]), *claim_standard_streams(), OddLook(sys.argv[1]))
