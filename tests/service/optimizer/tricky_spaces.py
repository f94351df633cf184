"""Search spaces and histories that have broken optimizers before, for the contract tests."""

import math
from collections.abc import Callable
from typing import Any

from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from service.domain.measurement import Measurement
from service.domain.objective import Objective
from service.domain.trial import TrialStatus
from service.optimizer.optimizer import Observation, SuggestRequest, find_optimizer


def float_(name: str, low: float = 0.0, high: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"type": "float", "name": name, "low": low, "high": high, **more}


def int_(name: str, low: int, high: int, **more: Any) -> dict[str, Any]:
    return {"type": "int", "name": name, "low": low, "high": high, **more}


def choice(name: str, values: list[Any], **more: Any) -> dict[str, Any]:
    return {"type": "choice", "name": name, "values": values, **more}


def space_of(*parameters: dict[str, Any], constraints: tuple[str, ...] = ()) -> ParameterSpace:
    return ParameterSpace.model_validate({"parameters": parameters, "constraints": constraints})


CONDITIONAL = space_of(
    choice("operator", ["conv", "attention", "none"]),
    int_("kernel", 3, 9, step=2, when={"parameter": "operator", "values": ["conv"]}),
    int_("heads", 1, 8, when={"parameter": "operator", "values": ["attention"]}),
    {
        "type": "bool",
        "name": "rotary",
        "when": {"parameter": "operator", "values": ["attention"]},
    },
    float_("base", 1e3, 1e5, scale="log", when={"parameter": "rotary", "values": [True]}),
    {
        "type": "fixed",
        "name": "dilation",
        "value": 2,
        "when": {"parameter": "kernel", "values": [7, 9]},
    },
    float_("dropout"),
)

SPACES: dict[str, ParameterSpace] = {
    "one_float": space_of(float_("x")),
    "log_float": space_of(float_("lr", 1e-6, 1.0, scale="log"), float_("x", -3, 2)),
    "float_step": space_of(float_("x", 0.1, 0.75, step=0.1), float_("y")),
    "ints": space_of(int_("a", -3, 3), int_("b", 0, 1000), int_("c", 16, 128, step=16)),
    "log_ints": space_of(int_("a", 1, 8, scale="log"), int_("b", 1, 100_000, scale="log")),
    "ordered": space_of(choice("a", [1, 2, 4, 8]), choice("b", ["s", "m", "l"], ordered=True)),
    "unordered": space_of(
        choice("a", ["relu", "gelu", "silu"]),
        choice("b", [3, 1, 2], ordered=False),
        choice("c", [True, False]),
        float_("x"),
    ),
    "fixed": space_of(
        {"type": "fixed", "name": "seed", "value": "a"}, float_("x"), int_("k", 1, 4)
    ),
    "bools": space_of(*({"type": "bool", "name": f"b{n}"} for n in range(8))),
    "names_of_ours": space_of(float_("x0"), float_("m0-y.z"), int_("lambda", 0, 3)),
    "conditional": CONDITIONAL,
    "linear": space_of(
        int_("layers", 2, 8),
        choice("width", [32, 64, 128, 256]),
        float_("share"),
        constraints=("32*layers + width <= 384", "share >= 0.1*layers - 0.3"),
    ),
    "simplex": space_of(
        float_("a"), float_("b"), float_("c"), constraints=("a + b + c <= 1", "a + b + c >= 0.9")
    ),
    "needle": space_of(float_("a"), float_("b"), float_("c"), constraints=("a + b + c <= 0.001",)),
    "equality": space_of(
        float_("a"), float_("b"), int_("k", 0, 5), constraints=("a + b <= 1", "a + b >= 1")
    ),
    "integer_equality": space_of(
        int_("a", 0, 100),
        int_("b", 0, 100),
        int_("c", 0, 1000),
        constraints=("a + b + c <= 150", "a + b + c >= 150"),
    ),
    "conditional_constraint": space_of(
        {"type": "bool", "name": "deep"},
        int_("extra", 1, 20, when={"parameter": "deep", "values": [True]}),
        int_("layers", 1, 20),
        constraints=("extra + layers <= 12",),
    ),
    "mixed": space_of(
        *(float_(f"f{n}") for n in range(4)),
        float_("lr", 1e-5, 1e-1, scale="log"),
        *(int_(f"i{n}", 1, 6) for n in range(4)),
        int_("hidden", 8, 1024, scale="log"),
        choice("kernel", [1, 3, 5, 7]),
        choice("act", ["relu", "gelu", "silu"]),
        {"type": "bool", "name": "bias"},
    ),
}
"""By name; each has room for at least 20 arms."""


def measure(arm: Arm, metrics: int, sem: float | None = 0.01) -> dict[str, Measurement]:
    """A smooth function of the arm per metric `m0`, `m1` ...; deterministic."""
    total = [0.0] * metrics
    for number, (name, value) in enumerate(sorted(arm.parameters.items())):
        size = float(len(value)) if isinstance(value, str) else math.log1p(abs(float(value)))
        for metric in range(metrics):
            total[metric] += math.sin(size * (1 + metric) + number) + 0.1 * len(name)
    return {f"m{n}": Measurement(mean=value, sem=sem) for n, value in enumerate(total)}


def objectives(count: int, goal: str = "minimize") -> tuple[Objective, ...]:
    return tuple(Objective.model_validate({"metric": f"m{n}", "goal": goal}) for n in range(count))


def request_after(
    space: ParameterSpace,
    observed: int,
    *,
    measuring: Callable[[Arm], dict[str, Measurement]] | None = None,
    **more: Any,
) -> SuggestRequest:
    """A request with `observed` completed quasi-random trials; two objectives unless given."""
    given: dict[str, Any] = {"objectives": objectives(2), "seed": 7, "strategy": "ax", **more}
    first = SuggestRequest(space=space, **{**given, "count": max(observed, 1)})
    arms = [s.arm for s in find_optimizer("sobol").suggest(first)][:observed]
    measuring = measuring or (lambda arm: measure(arm, 4))
    return SuggestRequest(
        space=space,
        observations=tuple(
            Observation(arm=arm, status=TrialStatus.COMPLETED, measurements=measuring(arm))
            for arm in arms
        ),
        **given,
    )
