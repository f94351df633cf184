"""Arms of the depth-pruned language model that differ from the baseline in what is named."""

from search_spaces.language.depth_pruned_llm.space import SEARCH_SPACE


def arm_with(**changes):
    """The baseline with `changes`; a value of None leaves the parameter out."""
    given = {**SEARCH_SPACE.baseline.parameters, **changes}
    given = {name: value for name, value in given.items() if value is not None}
    assert not SEARCH_SPACE.space.problems_with(given)
    return SEARCH_SPACE.space.canonical(given)
