"""Objectives and outcome constraints: what the search wants of the metrics."""

import re
from typing import Any, Literal

from pydantic import model_validator

from search_spaces.values import MetricName, Value

_BOUND = re.compile(r"^\s*(?P<metric>[A-Za-z][\w.\-@]*)\s*(?P<op><=|>=)\s*(?P<bound>\S+)\s*$")


class Objective(Value):
    """A metric to minimise or maximise.

    `threshold` is the worst value still of interest, in the metric's unit: its coordinate of
    the hypervolume's reference point. Without one it is inferred from the trials and shown so.
    """

    metric: MetricName
    goal: Literal["minimize", "maximize"]
    threshold: float | None = None

    @property
    def sign(self) -> int:
        """+1 where larger is better, -1 where smaller is."""
        return 1 if self.goal == "maximize" else -1


class OutcomeConstraint(Value):
    """A bound that a trial must meet to be feasible; also written `"file_size_bytes <= 4e6"`."""

    metric: MetricName
    op: Literal["<=", ">="]
    bound: float

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        match = _BOUND.match(given)
        if match is None:
            raise ValueError(f"cannot read {given!r}; write 'metric <= number'")
        try:
            bound = float(match["bound"])
        except ValueError:
            raise ValueError(f"{match['bound']!r} in {given!r} is not a number") from None
        return {"metric": match["metric"], "op": match["op"], "bound": bound}

    def holds(self, value: float) -> bool:
        """Whether `value` meets the bound."""
        return value <= self.bound if self.op == "<=" else value >= self.bound
