"""Trains one arm from its beginning to its end, in this process."""

from search_spaces.arm import Arm
from search_spaces.recipe import Recipe, TrainedNetwork, TrainingContext


def train_through(recipe: Recipe, arm: Arm, context: TrainingContext) -> TrainedNetwork:
    """What came of it; the learning curve is let go. Raises: ArmInfeasible."""
    training = recipe.train(arm, context)
    while True:
        try:
            next(training)
        except StopIteration as end:
            trained: TrainedNetwork = end.value
            return trained
