"""Random legal arms of any parameter space, by rejection."""

import math
from random import Random

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    FixedParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    ParameterValue,
)


def sample_value(parameter: Parameter, rng: Random) -> ParameterValue:
    match parameter:
        case FloatParameter(step=float(step)):
            steps = math.floor((parameter.high - parameter.low) / step + 1e-9)
            return min(parameter.high, parameter.low + step * rng.randint(0, steps))
        case FloatParameter(scale="log"):
            drawn = math.exp(rng.uniform(math.log(parameter.low), math.log(parameter.high)))
            return min(parameter.high, max(parameter.low, drawn))
        case FloatParameter():
            return rng.uniform(parameter.low, parameter.high)
        case IntParameter():
            return rng.randrange(parameter.low, parameter.high + 1, parameter.step)
        case ChoiceParameter():
            return rng.choice(parameter.values)
        case BoolParameter():
            return rng.random() < 0.5
        case FixedParameter():
            return parameter.value


def sample_arm(space: ParameterSpace, rng: Random, attempts: int = 10_000) -> Arm:
    """A random legal arm; raises if none of `attempts` draws meets the constraints."""
    for _ in range(attempts):
        given: dict[str, ParameterValue] = {}
        for parameter in space.parameters:
            if parameter in space.active(given):
                given[parameter.name] = sample_value(parameter, rng)
        if not space.problems_with(given):
            return space.canonical(given)
    raise LookupError(f"no legal arm in {attempts} draws")
