"""The problems: what BoTorch says, and what compression24 promises."""

import itertools
import math

import numpy as np
import pytest
import torch
from botorch.test_functions import multi_objective

from benchmarks.optimizer.problems import compression24
from benchmarks.optimizer.problems.compression24 import SPACE
from benchmarks.optimizer.problems.registry import PROBLEM_NAMES, find_problem
from search_spaces.arm import Arm
from service.domain.objective import OutcomeConstraint
from service.optimizer.axes import axes_of, from_units
from service.optimizer.sobol import new_arms

SYNTHETIC = [name for name in PROBLEM_NAMES if name != "nlu_table"]
THEIRS = {
    "branin_currin": multi_objective.BraninCurrin(),
    "dtlz2_d6": multi_objective.DTLZ2(dim=6, num_objectives=2),
    "dtlz2_d20": multi_objective.DTLZ2(dim=20, num_objectives=2),
    "zdt3_d20": multi_objective.ZDT3(dim=20),
    "vehicle_safety": multi_objective.VehicleSafety(),
    "penicillin": multi_objective.Penicillin(),
    "c2_dtlz2": multi_objective.C2DTLZ2(dim=6, num_objectives=2),
}


@pytest.mark.parametrize("name", THEIRS)
def test_values_bounds_and_reference_point_are_botorchs(name):
    problem, theirs = find_problem(name), THEIRS[name]
    lower, upper = theirs.bounds.tolist()
    assert [p.low for p in problem.space.parameters] == lower
    assert [p.high for p in problem.space.parameters] == upper
    # BoTorch states these problems, and their reference points, as minimisation
    assert problem.reference_point.tolist() == [-r for r in theirs.ref_point.tolist()]
    for arm in new_arms(problem.space, [], 3, 7, 0):
        x = torch.tensor([list(arm.parameters.values())], dtype=torch.double)
        expected = theirs.evaluate_true(x)[0].tolist()
        values = problem.true_values(arm)
        assert [values[o.metric] for o in problem.objectives] == pytest.approx(expected)


def test_the_centre_of_the_bent_dtlz2_is_no_longer_on_its_front():
    straight, bent = find_problem("dtlz2_d20"), find_problem("dtlz2_d20_bent")
    names = [p.name for p in straight.space.parameters]

    def distance(problem, arm):
        return math.hypot(*problem.true_values(arm).values())

    centre = straight.space.canonical(dict.fromkeys(names, 0.5))
    assert distance(straight, centre) == pytest.approx(1.0)
    assert distance(bent, centre) > 1.2
    exponents = 2.0 ** np.random.default_rng(3).uniform(-1.2, 1.2, 20)
    best = bent.space.canonical({n: 0.5 ** (1 / e) for n, e in zip(names, exponents, strict=True)})
    assert distance(bent, best) == pytest.approx(1.0)


def test_the_constraint_of_c2_dtlz2_is_botorchs():
    problem = find_problem("c2_dtlz2")
    assert problem.outcome_constraints == (OutcomeConstraint(metric="slack_1", op=">=", bound=0.0),)
    arms = new_arms(problem.space, [], 64, 0, 0)
    x = torch.tensor([list(arm.parameters.values()) for arm in arms], dtype=torch.double)
    feasible = THEIRS["c2_dtlz2"].is_feasible(x).tolist()
    assert [problem.true_point(arm) is not None for arm in arms] == feasible
    assert 0 < sum(feasible) < len(feasible)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_an_evaluation_repeats_itself_and_its_truth_is_finite(name):
    problem = find_problem(name)
    (arm,) = new_arms(problem.space, [], 1, 3, 0)
    assert problem.evaluate(arm, 5) == problem.evaluate(arm, 5)
    assert all(math.isfinite(value) for value in problem.true_values(arm).values())
    metrics = {o.metric for o in problem.objectives} | {
        c.metric for c in problem.outcome_constraints
    }
    assert set(problem.evaluate(arm)) == metrics


def test_an_arm_outside_the_space_is_refused():
    problem = find_problem("branin_currin")
    with pytest.raises(ValueError, match="x2"):
        problem.evaluate(Arm(parameters={"x1": 0.5, "x2": 1.5}))


def test_noiseless_problems_tell_no_sem_and_the_noisy_one_its_own():
    exact, noisy = find_problem("compression24"), find_problem("compression24_noisy")
    arms = new_arms(exact.space, [], 400, 0, 0)
    assert all(m.sem is None for m in exact.evaluate(arms[0]).values())
    errors = []
    for arm in arms:
        measured = noisy.evaluate(arm, seed=1)
        assert measured["error"].sem == 0.006
        assert measured["latency_ms"].sem == 0.15
        errors.append(measured["error"].mean - exact.true_values(arm)["error"])
    assert np.std(errors) == pytest.approx(0.006, rel=0.15)
    assert abs(np.mean(errors)) < 4 * 0.006 / math.sqrt(len(errors))
    draws = [noisy.evaluate(arms[0], seed, repeat) for seed in (1, 2) for repeat in (0, 1, 2)]
    assert len({measured["error"].mean for measured in draws}) == 6


def test_compression24_is_of_24_mixed_parameters():
    kinds = [(p.type, p.is_ordered) if p.type == "choice" else (p.type,) for p in SPACE.parameters]
    counts = [kinds.count(k) for k in [("float",), ("int",), ("choice", True), ("choice", False)]]
    assert counts == [10, 8, 3, 3]


def effect(name: str, arms: list[Arm], metric: str) -> float:
    """The mean range of a metric over five values of one parameter, the others as they are."""
    axis = next(axis for axis in axes_of(SPACE) if axis.name == name)
    ranges = []
    for arm in arms:
        values = []
        for unit in np.linspace(0.02, 0.98, 5):
            changed = arm.parameters | {name: axis.from_unit(float(unit))}
            values.append(compression24.true_values(SPACE.canonical(changed))[metric])
        ranges.append(max(values) - min(values))
    return float(np.mean(ranges))


def test_fifteen_parameters_of_compression24_hardly_matter():
    arms = new_arms(SPACE, [], 40, 1, 0)
    errors = {p.name: effect(p.name, arms, "error") for p in SPACE.parameters}
    names = [p.name for p in SPACE.parameters]
    relevant, rest = names[:9], names[9:]
    # the batch size moves the best learning rate, and so counts for a little more
    assert errors["batch_size"] < 0.015
    assert max(errors[name] for name in rest if name != "batch_size") < 0.004
    assert sum(errors[name] for name in rest) < 0.05 * sum(errors[name] for name in relevant)
    assert min(errors[name] for name in relevant) > 0.02
    assert min(errors[name] for name in rest) > 0.0002  # nearly irrelevant, not dummies
    latencies = {name: effect(name, arms, "latency_ms") for name in names}
    assert max(latencies[name] for name in rest) < 0.02 * max(latencies.values())


def test_the_parts_of_compression24_interact():
    """Bits hurt sparse networks more, and the best rate moves with width: not a sum of parts."""
    base = new_arms(SPACE, [], 1, 2, 0)[0].parameters

    def error(**changes: object) -> float:
        return compression24.true_values(SPACE.canonical(base | changes))["error"]

    few_bits = [
        error(weight_bits=4, ffn_sparsity=s, attention_sparsity=s)
        - error(weight_bits=16, ffn_sparsity=s, attention_sparsity=s)
        for s in (0.0, 0.7)
    ]
    assert few_bits[1] > few_bits[0] > 0
    rates = [float(r) for r in np.geomspace(1e-4, 1e-2, 41)]
    best = [
        min(rates, key=lambda rate: error(width=width, learning_rate=rate)) for width in (64, 320)
    ]
    assert best[0] > 1.5 * best[1]


def test_compression24_rewards_a_search():
    """Its thresholds leave most quasi-random arms something to gain, and none the best."""
    problem = find_problem("compression24")
    points = np.array([problem.true_point(arm) for arm in new_arms(SPACE, [], 200, 0, 0)])
    inside = np.all(points > problem.reference_point, axis=1).mean()
    assert 0.1 < inside < 0.6


def test_sparse_kernels_pay_only_where_zeros_outweigh_their_overhead():
    base = new_arms(SPACE, [], 1, 2, 0)[0].parameters
    for block_size, sparsity in itertools.product((1, 4, 8, 16, 32), (0.0, 0.3, 0.6, 0.9)):
        pruned = base | {"block_size": block_size, "ffn_sparsity": sparsity}
        dense = base | {"block_size": block_size, "ffn_sparsity": 0.0}
        gain = (
            compression24.true_values(SPACE.canonical(pruned))["latency_ms"]
            / compression24.true_values(SPACE.canonical(dense))["latency_ms"]
        )
        assert gain <= 1.0 + 1e-9
        if block_size == 1 and sparsity <= 0.3:
            assert gain > 0.97  # too few zeros for a kernel without blocks


def test_units_of_the_cube_reach_every_legal_arm():
    axes = axes_of(SPACE)
    for corner in (0.0, 1.0):
        assert SPACE.contains(from_units(SPACE, axes, [corner] * len(axes)))


def test_an_unknown_problem_is_named():
    with pytest.raises(ValueError, match="dtlz2_d6"):
        find_problem("zdt1")
