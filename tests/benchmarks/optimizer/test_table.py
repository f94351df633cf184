"""The page and its statistics, from runs whose answers are known."""

import numpy as np
import pytest

from benchmarks.optimizer import statistics
from benchmarks.optimizer.cost import Cost
from benchmarks.optimizer.records import Run, keep_run
from benchmarks.optimizer.statistics import (
    best_peer,
    growth_exponent,
    hypervolume_at,
    median_curve,
    ratio_to_best_peer,
    trials_needed,
)
from benchmarks.optimizer.table import render, write_page

MACHINE = {"processor": "X", "cores": 2, "system": "Linux", "python": "3.11", "load_average": 1.5}


def made(optimizer: str, seed: int, scale: float, trials: int = 100) -> Run:
    """A run whose hypervolume at trial n is scale * n."""
    return Run(
        problem="dtlz2_d20",
        optimizer=optimizer,
        seed=seed,
        hypervolume=tuple(scale * n for n in range(1, trials + 1)),
        cpu_s=tuple(0.01 * n for n in range(1, trials + 1)),
        wall_s=1.0,
        version=f"{optimizer} 1.0",
        commit="abc",
        date="2026-11-23",
        machine=MACHINE,
    )


RUNS = [
    *(made("auto", seed, scale) for seed, scale in enumerate([1.0, 2.0, 4.0])),
    *(made("optuna_tpe", seed, scale) for seed, scale in enumerate([0.5, 1.0, 1.5])),
    *(made("pymoo_nsga2", seed, 0.9) for seed in range(3)),
    made("sobol", 0, 50.0),
]


def test_medians_and_quartiles_are_over_the_seeds():
    auto = statistics.of_optimizer(RUNS, "auto")
    spread = hypervolume_at(auto, 50)
    assert (spread.lower, spread.median, spread.upper, spread.seeds) == (75.0, 100.0, 150.0, 3)
    assert hypervolume_at(auto, 200) is None
    assert median_curve([*auto, made("auto", 3, 1.0, trials=40)]).shape == (3, 40)


def test_the_best_peer_is_by_median_and_never_our_own():
    name, spread = best_peer(RUNS, 50)
    assert (name, spread.median) == ("optuna_tpe", 50.0)
    assert best_peer([made("auto", 0, 1.0), made("sobol", 0, 1.0)], 50) is None


def test_ratio_and_trials_needed():
    assert ratio_to_best_peer(RUNS, "auto", 50) == pytest.approx(2.0)
    # the best peer's median is 100 after 100 trials; auto's median curve is 2 n
    assert trials_needed(RUNS, "auto", 100) == 50
    assert trials_needed(RUNS, "pymoo_nsga2", 100) is None
    assert ratio_to_best_peer([made("auto", 0, 1.0)], "auto", 50) is None


def test_a_peer_without_any_hypervolume_is_beaten_beyond_measure():
    runs = [made("auto", 0, 1.0), made("optuna_tpe", 0, 0.0)]
    assert ratio_to_best_peer(runs, "auto", 50) == float("inf")
    assert ratio_to_best_peer([made("auto", 0, 0.0), runs[1]], "auto", 50) == 1.0


def test_growth_is_the_slope_of_the_logarithms():
    sizes = [50, 100, 200, 400]
    assert growth_exponent(sizes, [0.1 * n**1.3 for n in sizes]) == pytest.approx(1.3)


def test_the_page_shows_every_figure():
    costs = [
        Cost("auto", n, seed, 0.001 * n * (1 + 0.1 * seed), "abc", "2026-11-23", "X", 0.1)
        for n in (100, 1000)
        for seed in range(3)
    ]
    page = render({"dtlz2_d20": RUNS}, costs)
    row = "| dtlz2_d20* | optuna_tpe | 2.000 | optuna_tpe | 2.000 | 50 | 3, 3 |"
    assert row in page
    assert "| auto | 3 | 50 (37.5-75) | 100 (75-150) | 200 (150-300) | - | 0.2 | 0.5 |" in page
    assert "| 1000 | 1.10 | 1.00 | 1.20 | 3 |" in page
    assert "n^1.00" in page
    assert page.index("| auto |") < page.index("| optuna_tpe | 3") < page.index("| sobol |")
    assert "load average 1.5 to 1.5" in page


def test_a_page_without_our_runs_claims_nothing():
    page = render({"dtlz2_d20": RUNS[3:]})
    assert "| dtlz2_d20* | optuna_tpe | - | optuna_tpe | - | - | 0, 3 |" in page
    assert "not run yet" in page
    assert "No run is kept yet" in render({})


def test_the_page_and_equal_figures_are_written(tmp_path):
    for run in RUNS:
        keep_run(run, tmp_path / "results")
    page = tmp_path / "results.md"
    write_page(tmp_path / "results", page)
    figure = tmp_path / "figures" / "dtlz2_d20.svg"
    first = figure.read_bytes()
    write_page(tmp_path / "results", page)
    assert figure.read_bytes() == first
    assert b"auto (3)" in first
    assert "figures/dtlz2_d20.svg" in page.read_text()
    assert len(first) < 100_000


def test_the_cost_of_a_suggestion_is_averaged_over_its_neighbours():
    run = made("pymoo_nsga2", 0, 1.0)
    assert statistics.cost_at([run], 50).median == pytest.approx(np.mean(run.cpu_s[44:55]))
