"""Arms of the space that differ from the baseline in what is named."""

from search_spaces.compression.two_four_sparsity.space import SEARCH_SPACE

KINDS = ("convolution", "transformer", "lstm")


def arm_with(**changes):
    """The baseline with `changes`; what is inactive then is left out."""
    given = {**SEARCH_SPACE.baseline.parameters, **changes}
    active = {parameter.name for parameter in SEARCH_SPACE.space.active(given)}
    given = {name: value for name, value in given.items() if name in active}
    assert not SEARCH_SPACE.space.problems_with(given)
    return SEARCH_SPACE.space.canonical(given)
