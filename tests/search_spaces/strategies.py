"""Hypothesis strategies: any parameter, any parameter space."""

from hypothesis import strategies as st

from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    Condition,
    FixedParameter,
    FloatParameter,
    IntParameter,
)

finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def float_parameters(draw, name="x", when=None):
    low, high = sorted(draw(st.tuples(finite, finite).filter(lambda ends: ends[0] != ends[1])))
    kind = draw(st.sampled_from(["linear", "log", "step"]))
    if kind == "log" and low > 0:
        return FloatParameter(name=name, low=low, high=high, scale="log", when=when)
    if kind == "step":
        step = (high - low) / draw(st.integers(1, 40))
        return FloatParameter(name=name, low=low, high=high, step=step, when=when)
    return FloatParameter(name=name, low=low, high=high, when=when)


@st.composite
def int_parameters(draw, name="x", when=None):
    low = draw(st.integers(-1000, 1000))
    step = draw(st.integers(1, 30))
    high = low + step * draw(st.integers(1, 50))
    if low > 0 and step == 1 and draw(st.booleans()):
        return IntParameter(name=name, low=low, high=high, scale="log", when=when)
    return IntParameter(name=name, low=low, high=high, step=step, when=when)


@st.composite
def choice_parameters(draw, name="x", when=None):
    numbers = st.lists(st.integers(-50, 50), min_size=2, max_size=6, unique=True)
    words = st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=6, unique=True)
    values = tuple(draw(st.one_of(numbers, words)))
    ordered = draw(st.sampled_from([None, True, False]))
    return ChoiceParameter(name=name, values=values, ordered=ordered, when=when)


def parameters(name="x", when=None):
    """Any parameter of this name."""
    return st.one_of(
        float_parameters(name, when),
        int_parameters(name, when),
        choice_parameters(name, when),
        st.just(BoolParameter(name=name, when=when)),
        st.just(FixedParameter(name=name, value="always", when=when)),
    )


@st.composite
def spaces(draw):
    """Any space of one to six parameters, some conditional on an earlier one; no constraints."""
    listed = []
    for number in range(draw(st.integers(1, 6))):
        parents = [
            parent for parent in listed if isinstance(parent, ChoiceParameter | BoolParameter)
        ]
        when = None
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            values = (True, False) if isinstance(parent, BoolParameter) else parent.values
            chosen = draw(st.lists(st.sampled_from(values), min_size=1, unique=True))
            when = Condition(parameter=parent.name, values=tuple(chosen))
        listed.append(draw(parameters(f"p{number}", when)))
    return ParameterSpace(parameters=tuple(listed))
