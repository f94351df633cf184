"""A measurement: one metric's value with its noise and the protocol it was taken by."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from search_spaces.values import MetricName, ShortText, Value


class Measurement(Value):
    """`mean` in `unit`; `sem` its standard error (None: unknown), over `n` repeats.

    `protocol` says how it was taken: runtime, threads, warm-up, repeats, device profile, seed.
    Also written as a bare number: its mean.
    """

    mean: float
    sem: Annotated[float, Field(ge=0)] | None = None
    n: Annotated[int, Field(ge=1, le=2**53)] = 1
    unit: ShortText = ""
    protocol: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, given: Any) -> Any:
        if isinstance(given, int | float) and not isinstance(given, bool):
            return {"mean": given}
        return given


Measurements = Annotated[dict[MetricName, Measurement], Field(max_length=200)]
"""Measurements by metric."""
