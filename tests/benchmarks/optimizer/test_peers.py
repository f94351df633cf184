"""Every optimizer under comparison: legal arms, the problem's directions, seeds that hold."""

import numpy as np
import optuna
import pytest
from optuna.samplers import NSGAIISampler, TPESampler
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import ElementwiseProblem
from pymoo.optimize import minimize

from benchmarks.optimizer.peers.archfront import first_request
from benchmarks.optimizer.peers.pymoo import POPULATION
from benchmarks.optimizer.peers.registry import start
from benchmarks.optimizer.peers.vizier import ENVIRONMENT, PeerUnavailable
from benchmarks.optimizer.problems.problem import Problem
from benchmarks.optimizer.problems.registry import find_problem
from benchmarks.optimizer.runs import hypervolume_curve
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    Condition,
    FixedParameter,
    FloatParameter,
    IntParameter,
)
from service.domain.objective import Objective

pytestmark = pytest.mark.filterwarnings("ignore")  # the peers' own

QUICK = ["sobol", "optuna_tpe", "optuna_nsga2", "pymoo_nsga2"]


def every_kind() -> Problem:
    """All kinds of parameters; `gain` is to be maximised, `cost` minimised."""
    space = ParameterSpace(
        parameters=(
            FloatParameter(name="rate", low=1e-4, high=1e-1, scale="log"),
            FloatParameter(name="ratio", low=0.5, high=3.0, step=0.5),
            FloatParameter(name="share", low=0.0, high=1.0),
            IntParameter(name="width", low=32, high=192, step=16),
            IntParameter(name="batch", low=4, high=64, scale="log"),
            ChoiceParameter(name="bits", values=(4, 8, 16)),
            ChoiceParameter(name="activation", values=("relu", "gelu")),
            BoolParameter(name="bias"),
            FixedParameter(name="heads", value=4),
        )
    )

    def true_values(arm):
        share = float(arm.parameters["share"])
        return {"gain": 10 * share, "cost": share**2 + float(arm.parameters["width"]) / 192}

    return Problem(
        name="every_kind",
        description="",
        space=space,
        objectives=(
            Objective(metric="gain", goal="maximize", threshold=0.0),
            Objective(metric="cost", goal="minimize", threshold=2.0),
        ),
        true_values=true_values,
    )


@pytest.mark.parametrize("optimizer", [*QUICK, "ax_default", "optuna_gp"])
def test_every_kind_of_parameter_is_proposed_legally(optimizer):
    problem = every_kind()
    peer = start(optimizer, problem, 0, 12)
    for _ in range(3 if optimizer == "ax_default" else 12):
        arm = peer.ask()
        assert problem.space.problems_with(arm.parameters) == {}
        peer.tell(arm, problem.evaluate(arm))
    assert peer.version


@pytest.mark.parametrize("optimizer", ["optuna_tpe", "optuna_nsga2", "pymoo_nsga2"])
def test_a_peer_gets_better_at_what_it_is_told(optimizer):
    """The later arms lie nearer the front than the first: told the values, in their direction."""
    problem = every_kind()
    peer = start(optimizer, problem, 1, 200)
    gains = []
    for _ in range(200):
        arm = peer.ask()
        peer.tell(arm, problem.evaluate(arm))
        values = problem.true_values(arm)
        gains.append(values["gain"] / 10 - values["cost"])
    assert np.mean(gains[-60:]) > np.mean(gains[:20]) + 0.1


@pytest.mark.parametrize("optimizer", ["optuna_tpe", "optuna_nsga2", "pymoo_nsga2"])
def test_a_peer_minds_an_outcome_constraint(optimizer):
    problem = find_problem("c2_dtlz2")
    peer = start(optimizer, problem, 0, 150)
    feasible = []
    for _ in range(150):
        arm = peer.ask()
        peer.tell(arm, problem.evaluate(arm))
        feasible.append(problem.true_point(arm) is not None)
    assert np.mean(feasible[-50:]) > np.mean(feasible[:20])
    assert any(feasible)


@pytest.mark.parametrize("optimizer", QUICK)
def test_equal_seeds_give_equal_runs(optimizer):
    curve = hypervolume_curve("compression24", optimizer, 3, 30)
    assert curve == hypervolume_curve("compression24", optimizer, 3, 30)
    assert curve != hypervolume_curve("compression24", optimizer, 4, 30)
    assert curve == sorted(curve)


def test_ours_starts_as_the_product_does():
    problem = find_problem("compression24")
    request = first_request(problem, "auto", 3, 60)
    assert request.budget_trials == 60
    assert 4 <= request.initial_trials <= 20
    assert request.objectives == problem.objectives
    assert request.space == problem.space
    assert request.seed == 3


def test_a_conditional_parameter_is_refused():
    base = every_kind()
    space = ParameterSpace(
        parameters=(
            BoolParameter(name="pruned"),
            FloatParameter(
                name="level", low=0.0, high=1.0, when=Condition(parameter="pruned", values=(True,))
            ),
        )
    )
    problem = Problem("conditional", "", space, base.objectives, base.true_values)
    with pytest.raises(ValueError, match="level is conditional"):
        start("optuna_tpe", problem, 0, 5).ask()
    with pytest.raises(ValueError, match="level is conditional"):
        start("pymoo_nsga2", problem, 0, 5)


def test_an_unknown_optimizer_is_named():
    with pytest.raises(ValueError, match="simulated_annealing"):
        start("simulated_annealing", find_problem("branin_currin"), 0, 5)


def test_vizier_says_what_it_cannot_take(monkeypatch, tmp_path):
    with pytest.raises(PeerUnavailable, match="outcome constraints"):
        start("vizier", find_problem("c2_dtlz2"), 0, 5)
    monkeypatch.setattr("benchmarks.optimizer.peers.vizier._PYTHON", tmp_path / "python")
    with pytest.raises(PeerUnavailable, match="install-vizier"):
        start("vizier", every_kind(), 0, 5)


@pytest.mark.slow
@pytest.mark.skipif(
    not ENVIRONMENT.exists(), reason="python -m benchmarks.optimizer install-vizier"
)
def test_vizier_proposes_every_kind_of_parameter_legally():
    problem = every_kind()
    peer = start("vizier", problem, 0, 3)
    for _ in range(2):
        arm = peer.ask()
        assert problem.space.problems_with(arm.parameters) == {}
        peer.tell(arm, problem.evaluate(arm))
    assert peer.cpu_s > 0.0
    peer.close()


def test_pymoo_runs_as_it_runs_by_itself():
    """Asked and told one arm at a time, it visits what its own loop visits."""
    problem = find_problem("dtlz2_d6")
    theirs = ElementwiseProblem(n_var=6, n_obj=2, xl=0.0, xu=1.0)
    visited = []

    def evaluate(x, out, *args, **kwargs):
        visited.append(x)
        arm = problem.space.canonical({f"x{n + 1}": float(v) for n, v in enumerate(x)})
        out["F"] = list(problem.true_values(arm).values())

    theirs._evaluate = evaluate
    minimize(theirs, NSGA2(pop_size=POPULATION), ("n_gen", 4), seed=5)
    peer = start("pymoo_nsga2", problem, 5, 80)
    ours = []
    for _ in range(len(visited)):
        arm = peer.ask()
        peer.tell(arm, problem.evaluate(arm))
        ours.append(list(arm.parameters.values()))
    assert len(visited) == 4 * POPULATION
    np.testing.assert_allclose(ours, visited)


@pytest.mark.parametrize(("name", "sampler"), [("tpe", TPESampler), ("nsga2", NSGAIISampler)])
def test_optuna_runs_as_it_runs_by_itself(name, sampler):
    problem = find_problem("dtlz2_d6")
    visited = []

    def objective(trial):
        arm = problem.space.canonical(
            {f"x{n}": trial.suggest_float(f"x{n}", 0.0, 1.0) for n in range(1, 7)}
        )
        visited.append(arm)
        return tuple(problem.true_values(arm).values())

    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler(seed=5))
    study.optimize(objective, n_trials=70)
    peer = start(f"optuna_{name}", problem, 5, 70)
    for expected in visited:
        arm = peer.ask()
        assert arm == expected
        peer.tell(arm, problem.evaluate(arm))
