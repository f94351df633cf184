"""How a network is measured: on which target, in which runtime, how surely."""

from typing import Annotated, Literal

from pydantic import Field

from search_spaces.values import Name, Value

THIS_HOST = "this-host"
"""The target that every worker with a runtime has: the machine it runs on."""


class MeasurementSettings(Value):
    """The settings of a `measure` stage; they travel with every figure it gives.

    relative_ci: the 95 % confidence interval of the latency's median is narrowed to this share
        of it (0.01 = +-1 %), unless `time_limit_s` comes first.
    untrained: measure an arm before it is trained, on weights of no meaning; an arm that misses
        a bound then never trains (None: wherever the search space says that this measures alike).
    """

    target: Name = THIS_HOST
    runtime: Literal["onnxruntime", "executorch"] = "onnxruntime"
    precision: Literal["fp32"] = "fp32"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    min_pairs: Annotated[int, Field(ge=16, le=100_000)] = 64
    relative_ci: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 20.0
    untrained: bool | None = None
