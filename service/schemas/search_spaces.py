"""Search spaces as the API tells of them."""

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.space import Citation
from search_spaces.values import Value


class SearchSpaceSummary(Value):
    """One line of the list."""

    name: str
    version: int
    title: str
    citation: Citation
    parameter_count: int


class SearchSpaceDetail(SearchSpaceSummary):
    """All of one search space."""

    description: str
    space: ParameterSpace
    metrics: tuple[MetricDefinition, ...]
    baseline: Arm
