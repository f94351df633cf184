"""The default runtime is the one of least price among those offered."""

from collections.abc import Mapping
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.default_runtime import COSTS, TRIAL_S, RuntimeCost, default_runtime
from service.domain.runtimes import (
    DEFAULT_RUNTIME,
    RUNTIME_PRECISIONS,
    ZERO_SKIPPING_RUNTIMES,
    Precision,
    RuntimeName,
)

Costs = Mapping[tuple[RuntimeName, Precision], RuntimeCost]

CASES = [(runtime, precision) for runtime, has in RUNTIME_PRECISIONS.items() for precision in has]
costs = st.fixed_dictionaries(
    {
        case: st.builds(RuntimeCost, export_s=st.floats(0.1, 300), latency=st.floats(0.01, 100))
        for case in CASES
    }
)
precisions = st.sampled_from(get_args(Precision))
offers = st.lists(st.sampled_from([*RUNTIME_PRECISIONS, "tvm"]), unique=True)


def able(offered: list[str], precision: Precision) -> list[RuntimeName]:
    return [
        runtime
        for runtime, has in RUNTIME_PRECISIONS.items()
        if runtime in offered and precision in has and runtime not in ZERO_SKIPPING_RUNTIMES
    ]


@given(offers, precisions, costs)
def test_it_is_offered_and_has_the_precision(
    offered: list[str], precision: Precision, costs: Costs
) -> None:
    chosen = default_runtime(offered, [precision], costs)
    assert precision in RUNTIME_PRECISIONS[chosen]
    assert chosen not in ZERO_SKIPPING_RUNTIMES
    assert chosen in offered or not able(offered, precision)


@given(offers, st.lists(precisions, min_size=1, unique=True), costs)
def test_it_has_every_precision_that_is_asked_for(
    offered: list[str], asked: list[Precision], costs: Costs
) -> None:
    having = [name for name in RUNTIME_PRECISIONS if set(asked) <= set(RUNTIME_PRECISIONS[name])]
    chosen = default_runtime(offered, asked, costs)
    assert chosen in having or not set(having) - ZERO_SKIPPING_RUNTIMES
    assert chosen in offered or not set(having) & set(offered) - ZERO_SKIPPING_RUNTIMES


@given(offers, precisions, costs)
def test_no_other_is_both_as_quick_and_as_cheap_to_export(
    offered: list[str], precision: Precision, costs: Costs
) -> None:
    chosen = costs[default_runtime(offered, [precision], costs), precision]
    for runtime in able(offered, precision):
        other = costs[runtime, precision]
        better = other.latency < chosen.latency and other.export_s < chosen.export_s
        assert not better


@given(offers, precisions, costs, st.randoms())
def test_the_order_of_what_is_offered_does_not_matter(
    offered: list[str], precision: Precision, costs: Costs, random: object
) -> None:
    assert default_runtime(offered, [precision], costs) == default_runtime(
        sorted(offered, key=lambda _: random.random()),  # type: ignore[attr-defined]
        [precision],
        costs,
    )


@given(offers, precisions, costs, st.integers(-6, 6))
def test_latencies_may_be_multiples_of_any_network(
    offered: list[str], precision: Precision, costs: Costs, power: int
) -> None:
    scaled = {
        case: RuntimeCost(cost.export_s, cost.latency * 2.0**power) for case, cost in costs.items()
    }
    chosen = default_runtime(offered, [precision], costs)
    assert default_runtime(offered, [precision], scaled) == chosen


@given(offers, precisions, costs, st.floats(0, 1), st.floats(0, 1))
def test_what_is_chosen_stays_so_when_it_gets_better(
    offered: list[str], precision: Precision, costs: Costs, quicker: float, cheaper: float
) -> None:
    chosen = default_runtime(offered, [precision], costs)
    old = costs[chosen, precision]
    better = {
        **costs,
        (chosen, precision): RuntimeCost(old.export_s * cheaper, old.latency * quicker),
    }
    assert default_runtime(offered, [precision], better) == chosen


def test_a_quick_runtime_is_not_worth_any_export() -> None:
    costs: Costs = {
        ("onnxruntime", "fp32"): RuntimeCost(export_s=0.0, latency=1.0),
        ("aotinductor", "fp32"): RuntimeCost(export_s=TRIAL_S, latency=0.51),
    }
    assert default_runtime(["onnxruntime", "aotinductor"], ["fp32"], costs) == "onnxruntime"


def test_where_nothing_is_offered_it_is_the_usual_one() -> None:
    assert default_runtime([], ["fp32"]) == DEFAULT_RUNTIME
    assert default_runtime(["block_sparse", "torch_csr"], ["fp32"]) == DEFAULT_RUNTIME
    assert "bf16" in RUNTIME_PRECISIONS[default_runtime([], ["bf16"])]


def test_an_unknown_cost_is_no_reason_to_choose() -> None:
    costs: Costs = {("ncnn", "fp32"): RuntimeCost(export_s=100, latency=100)}
    assert default_runtime(["openvino", "ncnn"], ["fp32"], costs) == "ncnn"
    assert default_runtime(["openvino"], ["fp32"], costs) == "openvino"


@pytest.mark.parametrize(("runtime", "precision"), CASES)
def test_the_cost_of_every_runtime_is_known(runtime: RuntimeName, precision: Precision) -> None:
    if runtime not in ZERO_SKIPPING_RUNTIMES:
        assert COSTS[runtime, precision].price > 0
