"""What a training is decided by: trials of one experiment with equal keys share a checkpoint."""

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace


def training_key(space: ParameterSpace, arm: Arm, *, is_replicate: bool = False) -> str | None:
    """Equal for arms that differ in evaluation parameters alone; None: it shares with nobody.

    Within one experiment all else that decides a training is equal: search space and version,
    training settings, and the seed, which for such trials derives from this key.
    is_replicate: it repeats an arm for the sake of its noise, and so must train for itself.
    """
    if is_replicate or not space.evaluation_parameters:
        return None
    return space.training_configuration(arm).signature
