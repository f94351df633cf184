"""A figure that is taken only where an experiment asks for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OptionalFigure:
    """values: of one inference in the metric's unit, two or more; their mean is the figure.

    method: how they were taken, for the protocol.
    """

    values: tuple[float, ...]
    method: str
