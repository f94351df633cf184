"""When a training is stopped because it will hardly pay."""

from typing import Annotated

from pydantic import Field

from search_spaces.values import Value


class EarlyStopping(Value):
    """Stops a training that will hardly end on the front; its last measured values are kept.

    probability_below: it is stopped once its probability of joining the front is less.
    min_steps: never before so many optimizer steps.
    min_trials: never before so many trials have been trained to their end: their learning curves
        say what a beginning is worth.
    """

    probability_below: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    min_steps: Annotated[int, Field(ge=0)] = 0
    min_trials: Annotated[int, Field(ge=4, le=10_000)] = 8
