"""A slice of the figures on whatever machine this is, and the page made of them."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.measurement import figures, networks
from benchmarks.measurement.figures import Run
from benchmarks.measurement.records import keep, write_table
from workers.measurement.reference_network import SMALL, build_reference, reference_input

PROCESSES = 4


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small reference stands for the encoder: it is exported in seconds."""
    folder = tmp_path_factory.mktemp("networks")
    return networks.export(build_reference(SMALL), reference_input(), folder / SMALL.name)


@pytest.fixture
def folder(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(small, tmp_path / "encoder")
    shutil.copytree(small, tmp_path / SMALL.name)
    monkeypatch.setattr(networks, "export_encoder", lambda folder, name="encoder": folder / name)
    return tmp_path


@pytest.mark.alone
def test_ratios_scatter_less_than_plain_means_beside_a_busy_process(folder: Path) -> None:
    """Bars on a quiet machine: 1.5 %, and a fifth of the plain mean's."""
    shown: list[Run] = []
    found = figures.scatter(folder, shown.append, PROCESSES, 2.0, seed=0)
    assert len(shown) == len(found["runs"]) == PROCESSES
    assert all(0.8 < run["ratio"] < 1.25 for run in shown)
    assert found["cv_percent"] < max(5.0, found["plain_cv_percent"] / 2)


@pytest.mark.alone
def test_equal_networks_are_mostly_taken_for_equal(folder: Path) -> None:
    found = figures.equal(folder, lambda _: None, 3, 1.0, seed=0)
    assert found["of"] == 3
    assert found["covered"] >= 1
    assert found["largest_difference_percent"] < 15


def test_the_networks_to_put_in_order_are_the_same_each_time_and_differ() -> None:
    arms = networks.nlu_arms(0)
    assert arms == networks.nlu_arms(0)
    assert arms != networks.nlu_arms(1)
    assert len({arm.signature for arm in arms}) == networks.NLU_COUNT


def made_up_run(**changes: object) -> Run:
    return {"ratio": 1.0, "ratio_sem": 0.01, "noisy": False} | changes


def test_every_figure_kept_has_a_row(tmp_path: Path) -> None:
    results, table = tmp_path / "results.jsonl", tmp_path / "results.md"
    settings = {"time_limit_s": 20.0, "seed": 3}
    one, noisy = made_up_run(), made_up_run(noisy=True)
    scatter = {
        "cv_percent": 1.234,
        "plain_cv_percent": 42.5,
        "plain_cpu_cv_percent": 10.25,
        "told_sem_percent": 0.5,
        "met": True,
        "runs": [one, noisy],
    }
    equal = {
        "covered": 17,
        "of": 20,
        "largest_difference_percent": 2.5,
        "met": False,
        "runs": [{"one": one, "other": one}],
    }
    order = {
        "kendall_tau": 0.97,
        "smallest_gap_percent": 0.3,
        "met": True,
        "passes": [[one], [noisy]],
    }
    kept = {
        "scatter": scatter,
        "scatter_small": scatter,
        "equal": equal,
        "equal_small": equal,
        "order": order,
    }
    for name, result in kept.items():
        keep(name, settings, result, results)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["figure"] for line in lines] == [*kept]
    assert lines[0]["versions"].keys() == {"onnxruntime", "numpy", "torch"}
    assert lines[0]["settings"]["seed"] == 3
    write_table(results, table)
    rows = [line for line in table.read_text().splitlines() if line.startswith("| ")]
    for size in ("28 MB", "1.6 MB"):
        assert any(row.startswith(f"| {size} | 2 | 20.0 | 1.23 | 42.5 | 10.2 |") for row in rows)
        assert any(
            row.startswith(f"| {size} | 20.0 | 17 of 20 |") and "**no**" in row for row in rows
        )
    assert any("| 0.970 | 0.30 | 1 of 2 |" in row for row in rows)
