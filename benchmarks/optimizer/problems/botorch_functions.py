"""Problems of the literature, as BoTorch defines them: values, bounds and reference points.

BraninCurrin, VehicleSafety [Tanabe2020], DTLZ2 [Deb2005], ZDT3 [Zitzler2000], Penicillin
[Liang2021], C2-DTLZ2 [Deb2019]: every objective is minimised, with BoTorch's reference point as
the thresholds.

[Deb2005] K. Deb et al. Scalable Test Problems for Evolutionary Multiobjective Optimization.
[Deb2019] K. Deb. Constrained Multi-objective Evolutionary Algorithm.
[Tanabe2020] R. Tanabe, H. Ishibuchi. An easy-to-use real-world multi-objective optimization
    problem suite. Applied Soft Computing, 2020.
[Zitzler2000] E. Zitzler, K. Deb, L. Thiele. Comparison of Multiobjective Evolutionary Algorithms:
    Empirical Results. Evolutionary Computation, 2000.
[Liang2021] Q. Liang, L. Lai. Scalable Bayesian Optimization Accelerates Process Optimization of
    Penicillin Production. NeurIPS 2021 AI4Science.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from botorch.test_functions.multi_objective import (
    C2DTLZ2,
    DTLZ2,
    ZDT3,
    BraninCurrin,
    Penicillin,
    VehicleSafety,
)

from benchmarks.optimizer.problems.problem import Problem
from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import FloatParameter
from service.domain.objective import Objective, OutcomeConstraint

_PENICILLIN = (
    "culture_volume_l",
    "biomass_g_per_l",
    "temperature_k",
    "glucose_g_per_l",
    "feed_rate_l_per_h",
    "feed_concentration_g_per_l",
    "ph",
)
_VEHICLE = ("bumper_mm", "hood_mm", "pillar_mm", "rail_mm", "crossbeam_mm")


def branin_currin() -> Problem:
    """Two smooth, conflicting functions of two floats."""
    return _problem("branin_currin", BraninCurrin(), "2 floats; smooth", ("branin", "currin"))


def dtlz2(dimensions: int) -> Problem:
    """A concave front; all but one of the floats only move arms away from it."""
    return _problem(
        f"dtlz2_d{dimensions}",
        DTLZ2(dim=dimensions, num_objectives=2),
        f"{dimensions} floats; concave front",
        ("f1", "f2"),
        is_high_dimensional=dimensions >= 20,
    )


def dtlz2_bent(dimensions: int) -> Problem:
    """DTLZ2 whose front lies at another place of every axis, where no first guess finds it."""
    return _problem(
        f"dtlz2_d{dimensions}_bent",
        _Bent(DTLZ2(dim=dimensions, num_objectives=2)),
        f"{dimensions} floats; concave front away from the centre",
        ("f1", "f2"),
        is_high_dimensional=dimensions >= 20,
    )


def zdt3(dimensions: int) -> Problem:
    """A front in five pieces, on one side of every float but the first."""
    return _problem(
        f"zdt3_d{dimensions}",
        ZDT3(dim=dimensions),
        f"{dimensions} floats; front in pieces, at a bound of the space",
        ("f1", "f2"),
        is_high_dimensional=dimensions >= 20,
    )


def vehicle_safety() -> Problem:
    """Mass, acceleration and intrusion of a car's front under five thicknesses."""
    return _problem(
        "vehicle_safety",
        VehicleSafety(),
        "5 floats; 3 objectives, real-world surrogate",
        ("mass_kg", "acceleration", "intrusion"),
        _VEHICLE,
    )


def penicillin() -> Problem:
    """Yield (negated), CO2 and time of a simulated fermentation."""
    return _problem(
        "penicillin",
        Penicillin(),
        "7 floats; 3 objectives, simulated process with plateaus",
        ("negative_yield", "co2", "time_h"),
        _PENICILLIN,
    )


def c2_dtlz2() -> Problem:
    """DTLZ2 of which an outcome constraint leaves separate pieces of the front."""
    return _problem(
        "c2_dtlz2", C2DTLZ2(dim=6, num_objectives=2), "6 floats; one outcome constraint",
        ("f1", "f2"),
    )  # fmt: skip


class _Bent:
    """A function of the unit cube, each axis but the first raised to a power of 0.44 to 2.3."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.dim, self.bounds, self.ref_point = function.dim, function.bounds, function.ref_point
        exponents = 2.0 ** np.random.default_rng(3).uniform(-1.2, 1.2, function.dim)
        exponents[0] = 1.0
        self.exponents = torch.tensor(exponents, dtype=torch.double)

    def to(self, **kind: Any) -> "_Bent":
        self._function.to(**kind)
        return self

    def evaluate_true(self, x: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self._function.evaluate_true(x**self.exponents)
        return values


def _problem(
    name: str,
    function: Any,  # BoTorch's test problems hide their methods' types behind nn.Module
    description: str,
    metrics: Sequence[str],
    parameters: Sequence[str] = (),
    *,
    is_high_dimensional: bool = False,
) -> Problem:
    function = function.to(dtype=torch.double)
    lower, upper = function.bounds.tolist()
    names = parameters or [f"x{number + 1}" for number in range(function.dim)]
    slacks = getattr(function, "num_constraints", 0)

    @lru_cache(maxsize=1)  # a run asks for each arm twice, and Penicillin simulates for a while
    def values_at(*coordinates: float) -> dict[str, float]:
        x = torch.tensor([coordinates], dtype=torch.double)
        values = dict(zip(metrics, function.evaluate_true(x)[0].tolist(), strict=True))
        if slacks:
            slack = function.evaluate_slack_true(x)[0].tolist()
            values |= {f"slack_{number + 1}": value for number, value in enumerate(slack)}
        return values

    def true_values(arm: Arm) -> dict[str, float]:
        return values_at(*(float(arm.parameters[name]) for name in names))

    return Problem(
        name=name,
        description=description,
        space=ParameterSpace(
            parameters=tuple(
                FloatParameter(name=n, low=low, high=high)
                for n, low, high in zip(names, lower, upper, strict=True)
            )
        ),
        objectives=tuple(
            Objective(metric=metric, goal="minimize", threshold=float(threshold))
            for metric, threshold in zip(metrics, function.ref_point.tolist(), strict=True)
        ),
        outcome_constraints=tuple(
            OutcomeConstraint(metric=f"slack_{number + 1}", op=">=", bound=0.0)
            for number in range(slacks)
        ),
        true_values=true_values,
        is_high_dimensional=is_high_dimensional,
    )
