import pytest

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    Condition,
    FixedParameter,
    FloatParameter,
    IntParameter,
)
from search_spaces.registry import InstalledSpace, Registry
from search_spaces.space import Citation, SearchSpace
from service.domain.errors import InvalidRequest, SearchSpaceNotFound, UnknownMetric
from service.domain.experiment import ExperimentSpec
from service.use_cases.create_experiment import validate_experiment
from service.use_cases.resolve_experiment import resolve_experiment
from tests.service.toy_experiments import REGISTRY, external_spec, worker_spec

WIDE = SearchSpace(
    name="wide",
    version=2,
    title="Wide",
    description="One parameter of every kind.",
    citation=Citation(title="None", authors="Nobody", year=2026),
    space=ParameterSpace(
        parameters=(
            IntParameter(name="layers", low=2, high=12, step=2),
            IntParameter(name="width", low=1, high=512, scale="log"),
            FloatParameter(name="rate", low=1e-5, high=1e-1, scale="log"),
            FloatParameter(name="dropout", low=0.0, high=0.5, step=0.1),
            ChoiceParameter(name="kernel", values=("conv", "attention", "mixed")),
            ChoiceParameter(name="heads", values=(1, 2, 4, 8)),
            BoolParameter(name="pruned"),
            FloatParameter(
                name="sparsity",
                low=0.0,
                high=0.9,
                when=Condition(parameter="pruned", values=(True,)),
            ),
            FixedParameter(name="seed_data", value=1),
        ),
        constraints=("8*layers + heads <= 96",),
    ),
    metrics=(MetricDefinition(name="error", stage="train"),),
    baseline=Arm(
        parameters={
            "layers": 4,
            "width": 8,
            "rate": 0.01,
            "dropout": 0.1,
            "kernel": "conv",
            "heads": 2,
            "pruned": False,
            "seed_data": 1,
        }
    ),
)
WIDE_REGISTRY = Registry([InstalledSpace(WIDE, lambda: None)])


def wide_spec(**changes) -> ExperimentSpec:
    return worker_spec(search_space="wide", **changes)


def narrowed(*parameters: dict, constraints: tuple[str, ...] = ()) -> ParameterSpace:
    spec = wide_spec(parameters=list(parameters), parameter_constraints=list(constraints))
    return resolve_experiment(spec, WIDE_REGISTRY).space


def test_the_version_is_pinned_and_the_initial_trials_counted() -> None:
    resolved = resolve_experiment(worker_spec(budget=24), REGISTRY)
    assert resolved.spec.search_space.version == 3
    assert resolved.spec.optimizer.initial_trials == 5  # a fifth of the budget
    assert [metric.name for metric in resolved.metrics][:4] == [
        "error",
        "loss",
        "nonzero_weight_count",
        "latency_ms",
    ]


@pytest.mark.parametrize(
    ("budget", "given", "initial"),
    [(1, None, 1), (3, None, 3), (4, None, 4), (13, None, 4), (24, None, 5), (1000, None, 6),
     (24, 9, 9), (4, 9, 9)],
)  # fmt: skip
def test_a_handful_of_trials_comes_before_the_models(
    budget: int, given: int | None, initial: int
) -> None:
    spec = wide_spec(budget=budget, optimizer={"initial_trials": given})
    assert resolve_experiment(spec, WIDE_REGISTRY).spec.optimizer.initial_trials == initial


def test_the_models_time_is_limited_by_what_it_may_need() -> None:
    four = [{"metric": name, "goal": "minimize"} for name in ("error", "loss", "latency_ms")]
    four.append({"metric": "nonzero_weight_count", "goal": "minimize"})
    for changes, limit_s in (
        ({}, 60),
        ({"objectives": four}, 300),
        ({"optimizer": {"strategy": "ax"}}, 300),
        ({"optimizer": {"strategy": "ax", "suggestion_limit_s": 7}}, 7),
    ):
        optimizer = resolve_experiment(worker_spec(**changes), REGISTRY).spec.optimizer
        assert optimizer.suggestion_limit_s == limit_s


@pytest.mark.parametrize("version", ["toy", "toy@3"])
def test_validating_again_changes_nothing(version: str) -> None:
    for spec, registry in (
        (worker_spec(search_space=version), REGISTRY),
        (external_spec(outcome_constraints=["cost <= 3"]), REGISTRY),
        (
            wide_spec(
                parameters=[
                    {"type": "fixed", "name": "pruned", "value": True},
                    {"type": "int", "name": "width", "low": 8, "high": 64},
                    {"type": "choice", "name": "kernel", "values": ["mixed", "conv"]},
                    {"type": "float", "name": "sparsity", "low": 0.5, "high": 0.8},
                ]
            ),
            WIDE_REGISTRY,
        ),
    ):
        once = validate_experiment(spec, registry)
        again = ExperimentSpec.model_validate_json(once.model_dump_json())
        assert validate_experiment(again, registry) == once
        assert resolve_experiment(again, registry).space == resolve_experiment(spec, registry).space


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("tou", "Did you mean 'toy'"),
        ("nothing-like-it", "Known are toy"),
        ("toy@2", "version 3, not 2"),
    ],
)
def test_a_space_that_is_not_installed(reference: str, message: str) -> None:
    with pytest.raises(SearchSpaceNotFound, match=message) as caught:
        resolve_experiment(worker_spec(search_space=reference), REGISTRY)
    assert caught.value.field == "search_space"


def test_narrowed_parameters_keep_what_was_left_out() -> None:
    space = narrowed(
        {"type": "int", "name": "layers", "low": 4, "high": 8},
        {"type": "int", "name": "width", "low": 16, "high": 32},
        {"type": "float", "name": "rate", "low": 1e-3, "high": 1e-2},
        {"type": "float", "name": "dropout", "low": 0.1, "high": 0.3, "step": 0.2},
        {"type": "choice", "name": "heads", "values": [2, 8]},
        {"type": "choice", "name": "kernel", "values": ["mixed", "conv"]},
        {"type": "bool", "name": "pruned"},
    )
    assert space.by_name["layers"] == IntParameter(name="layers", low=4, high=8, step=2)
    assert space.by_name["width"].scale == "log"
    assert space.by_name["rate"].scale == "log"
    assert space.by_name["dropout"].step == 0.2
    assert space.by_name["heads"].is_ordered
    assert not space.by_name["kernel"].is_ordered
    assert space.by_name["sparsity"].when == WIDE.space.by_name["sparsity"].when
    assert [p.name for p in space.parameters] == [p.name for p in WIDE.space.parameters]


def test_every_kind_can_be_fixed_or_made_a_choice() -> None:
    space = narrowed(
        {"type": "fixed", "name": "layers", "value": 4.0},
        {"type": "choice", "name": "width", "values": [8, 16]},
        {"type": "choice", "name": "dropout", "values": [0, 0.3]},
        {"type": "fixed", "name": "kernel", "value": "mixed"},
        {"type": "fixed", "name": "seed_data", "value": 1},
    )
    assert repr(space.by_name["layers"].value) == "4"
    assert space.by_name["width"].values == (8, 16)
    assert repr(space.by_name["dropout"].values) == "(0.0, 0.3)"
    assert space.by_name["kernel"].value == "mixed"


def test_what_can_no_longer_be_active_is_dropped() -> None:
    space = narrowed({"type": "fixed", "name": "pruned", "value": False})
    assert "sparsity" not in space.by_name
    always = narrowed({"type": "fixed", "name": "pruned", "value": True})
    assert always.by_name["sparsity"].when is None


def test_constraints_of_both_hold() -> None:
    space = narrowed(constraints=("layers <= 6",))
    assert len(space.constraints) == 2
    arm = WIDE.baseline.parameters | {"layers": 8}
    assert WIDE.space.problems_with(arm) == {}
    assert list(space.problems_with(arm)) == ["1*layers <= 6"]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"type": "int", "name": "layer", "low": 2, "high": 4}, "Did you mean 'layers'"),
        ({"type": "int", "name": "layers", "low": 2, "high": 14}, "outside the search space"),
        ({"type": "int", "name": "layers", "low": 3, "high": 5}, "multiple of 2"),
        ({"type": "int", "name": "layers", "low": 2, "high": 8, "step": 3}, "grid of 2"),
        ({"type": "int", "name": "layers", "low": 2, "high": 12, "step": 1}, "grid of 2"),
        ({"type": "float", "name": "layers", "low": 2, "high": 4}, "is of type int"),
        ({"type": "bool", "name": "layers"}, "is of type int"),
        ({"type": "float", "name": "rate", "low": 0.0, "high": 0.1}, "outside"),
        ({"type": "fixed", "name": "rate", "value": 1.0}, "needs a number in"),
        ({"type": "fixed", "name": "pruned", "value": 1}, "needs true or false"),
        ({"type": "choice", "name": "kernel", "values": ["conv", "lstm"]}, "needs one of"),
        ({"type": "fixed", "name": "seed_data", "value": 2}, "is fixed at 1"),
        (
            {
                "type": "float",
                "name": "sparsity",
                "low": 0.1,
                "high": 0.2,
                "when": {"parameter": "pruned", "values": [False]},
            },
            "another condition",
        ),
    ],
)
def test_a_parameter_beyond_the_space_is_named(parameter: dict, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        narrowed(parameter)
    assert caught.value.field == f"parameters.{parameter['name']}"
    assert caught.value.remedy


def test_a_parameter_twice_or_a_constraint_that_nothing_meets() -> None:
    twice = {"type": "fixed", "name": "pruned", "value": True}
    with pytest.raises(InvalidRequest, match="listed twice"):
        narrowed(twice, twice | {"value": False})
    with pytest.raises(InvalidRequest, match="no arm meets") as caught:
        narrowed(constraints=("layers <= 1",))
    assert caught.value.field == "parameter_constraints"
    with pytest.raises(InvalidRequest, match="no parameter"):
        narrowed(constraints=("depth <= 1",))
    # `sparsity` is gone with `pruned`, and counts as 0 in what is left of the constraint.
    never = {"type": "fixed", "name": "pruned", "value": False}
    with pytest.raises(InvalidRequest, match="can no longer be met"):
        narrowed(never, constraints=("-1*sparsity <= -0.5",))
    assert len(narrowed(never, constraints=("sparsity <= 0.5",)).constraints) == 1


@pytest.mark.parametrize(
    ("changes", "error", "field", "message"),
    [
        (
            {"objectives": [{"metric": "eror", "goal": "minimize"}]},
            UnknownMetric,
            "objectives.0.metric",
            "Did you mean 'error'",
        ),
        (
            {"outcome_constraints": ["error <= 1", "latency <= 5"]},
            UnknownMetric,
            "outcome_constraints.1.metric",
            "latency",
        ),
        (
            {"objectives": [{"metric": "error", "goal": "maximize"}]},
            InvalidRequest,
            "objectives.0.goal",
            "better when lower",
        ),
        (
            {"outcome_constraints": ["macs <= 10", "macs >= 11"]},
            InvalidRequest,
            "outcome_constraints.1.bound",
            "No trial can meet both macs <= 10 and macs >= 11",
        ),
        (
            {
                "objectives": [{"metric": "latency_ms", "goal": "minimize", "threshold": 4}],
                "outcome_constraints": ["latency_ms >= 4"],
            },
            InvalidRequest,
            "outcome_constraints.0.bound",
            "better than the threshold 4",
        ),
        ({"metrics": [{"name": "mine"}]}, InvalidRequest, "metrics", "Leave metrics out"),
    ],
)
def test_what_contradicts_is_named(changes: dict, error, field: str, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        resolve_experiment(worker_spec(**changes), REGISTRY)
    assert caught.value.field == field


def test_bounds_that_agree_are_accepted() -> None:
    changes = {
        "objectives": [{"metric": "latency_ms", "goal": "minimize", "threshold": 4}],
        "outcome_constraints": ["latency_ms >= 1", "latency_ms <= 8", "error <= 0.5"],
    }
    resolve_experiment(worker_spec(**changes), REGISTRY)


def test_an_external_experiment_names_its_own_metrics() -> None:
    resolved = resolve_experiment(external_spec(outcome_constraints=["cost <= 3"]), REGISTRY)
    assert [(m.name, m.better, m.stage) for m in resolved.metrics] == [
        ("score", "higher", "external"),
        ("cost", "lower", "external"),
    ]
    listed = external_spec(metrics=[{"name": "score", "unit": "%"}, {"name": "other"}])
    resolved = resolve_experiment(listed, REGISTRY)
    assert [(m.name, m.unit, m.better) for m in resolved.metrics] == [
        ("score", "%", "higher"),
        ("other", "", "lower"),
    ]
    with pytest.raises(UnknownMetric, match="Did you mean 'score'"):
        resolve_experiment(
            external_spec(metrics=[{"name": "score"}], outcome_constraints=["scor <= 1"]),
            REGISTRY,
        )
    with pytest.raises(InvalidRequest, match="better when lower"):
        resolve_experiment(external_spec(metrics=[{"name": "score", "better": "lower"}]), REGISTRY)


def test_external_parameters_have_to_make_a_space() -> None:
    twice = {"type": "bool", "name": "a"}
    with pytest.raises(InvalidRequest, match="listed twice") as caught:
        resolve_experiment(external_spec(parameters=[twice, twice]), REGISTRY)
    assert caught.value.field == "parameters"


@pytest.mark.parametrize("strategy", ["sobol", "random", "nsga2"])
def test_an_expected_gain_needs_a_model(strategy):
    rules = {"expected_gain": 0.01}
    spec = worker_spec(stop_rules=rules, optimizer={"strategy": strategy})
    with pytest.raises(InvalidRequest, match="has no model") as refused:
        resolve_experiment(spec, REGISTRY)
    assert refused.value.field == "stop_rules.expected_gain"
    resolved = resolve_experiment(worker_spec(stop_rules=rules), REGISTRY).spec
    assert resolved.stop_rules.expected_gain.below == 0.01


def test_saasbo_is_refused_where_its_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = worker_spec(optimizer={"strategy": "saasbo"})
    assert resolve_experiment(spec, REGISTRY).spec.optimizer.strategy == "saasbo"
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(InvalidRequest, match="needs NumPyro") as caught:
        resolve_experiment(spec, REGISTRY)
    assert caught.value.field == "optimizer.strategy"


PRECISE = WIDE.model_copy(
    update={
        "name": "precise",
        "space": ParameterSpace(
            parameters=(
                *WIDE.space.parameters,
                ChoiceParameter(name="precision", values=("fp32", "fp16", "int8_static")),
            ),
            constraints=WIDE.space.constraints,
            evaluation_parameters=("precision",),
        ),
        "baseline": Arm(parameters={**WIDE.baseline.parameters, "precision": "fp32"}),
        "metrics": (
            *WIDE.metrics,
            MetricDefinition(name="tokens_per_s", better="higher", stage="measure", by_device=True),
        ),
        "precision_parameter": "precision",
    }
)
PRECISE_REGISTRY = Registry([InstalledSpace(PRECISE, lambda: None)])


def precise(**changes):
    return resolve_experiment(worker_spec(search_space="precise", **changes), PRECISE_REGISTRY)


def test_arms_may_choose_their_precision_among_what_is_left_of_it() -> None:
    assert precise().precisions == ("fp32", "fp16", "int8_static")
    few = {"type": "choice", "name": "precision", "values": ["fp32", "fp16"]}
    assert precise(parameters=[few]).precisions == ("fp32", "fp16")
    one = {"type": "fixed", "name": "precision", "value": "fp16"}
    assert precise(parameters=[one]).precisions == ("fp16",)
    assert resolve_experiment(worker_spec(), REGISTRY).precisions == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"measurement": {"precision": "int8_dynamic"}}, "measurement.precision"),
        (
            {"targets": ["this-host", {"name": "rpi5", "precision": "fp16"}]},
            "targets.1.precision",
        ),
    ],
)
def test_two_precisions_for_one_arm_are_refused(changes: dict, field: str) -> None:
    with pytest.raises(InvalidRequest, match=r"precision of its own, by 'precision'") as refused:
        precise(**changes)
    assert refused.value.field == field
    assert "fix the parameter 'precision'" in str(refused.value.remedy)


def test_a_metric_of_every_device_may_be_an_objective_on_each() -> None:
    goals = [
        {"metric": "tokens_per_s", "goal": "maximize"},
        {"metric": "tokens_per_s@rpi5", "goal": "maximize"},
    ]
    found = precise(objectives=goals, targets=["this-host", "rpi5"])
    targets = {metric.name: metric.target for metric in found.metrics}
    assert targets["tokens_per_s"] == "this-host"
    assert targets["tokens_per_s@rpi5"] == "rpi5"
