"""The benchmark of 2:4 trains what it lacks, compares seed by seed, and claims no speed unseen."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.two_four import cpu, matmul
from benchmarks.two_four.accuracy import METHODS, NETWORKS, arm_of, record
from benchmarks.two_four.records import PAGE, keep, read, write_part
from benchmarks.two_four.statistics import accuracy_table, losses, timing_table, verdict
from search_spaces.compression.reduction import reduction_matrix
from search_spaces.compression.semi_structured import has_sparse_tensor_cores
from search_spaces.compression.two_of_four import is_two_of_four


def trained(method: str, seed: int, error: float, network: str = "lstm") -> dict[str, Any]:
    return {
        "kind": "accuracy", "network": network, "method": method, "seed": seed, "error": error,
        "dense_error": 0.1, "zero_shot_error": 0.2, "kept_magnitude": 0.7, "packed_bytes": 1200.0,
        "weights": 1000, "test_examples": 100, "cpu_s": 5.0, "torch": "2.0",
        "processor": "a chip", "source": "abc", "load_average": 1.0,
    }  # fmt: skip


def test_every_arm_is_legal_and_the_papers_recipe_is_one() -> None:
    arms = [arm_of(network, method) for network in NETWORKS for method in METHODS]
    assert len({arm.signature for arm in arms}) == len(NETWORKS) * len(METHODS)
    paper = arm_of("convolution", "two_of_four").parameters
    assert (paper["retrain_share"], paper["retrain_lr_ratio"]) == (1.0, 1.0)


def test_differences_are_of_the_same_seed() -> None:
    records = [
        trained("two_of_four", 0, 0.12),
        trained("two_of_four", 1, 0.09),
        trained("two_of_four", 2, 0.08),
        trained("trained_twice", 0, 0.10),
        trained("trained_twice", 1, 0.085),
    ]
    assert losses(records, "lstm", "two_of_four", "dense") == pytest.approx([2, -1, -2])
    assert losses(records, "lstm", "two_of_four", "twice") == pytest.approx([2, 0.5])
    told = verdict(records)
    assert "against dense: -1.00 points" in told
    assert "within the bar" in told
    assert "against dense trained twice: +1.25 points" in told
    assert "beyond the bar" in told
    table = accuracy_table(records)
    assert "| lstm | 2:4, magnitude | 10.00 (10.00 to 10.00) | 20.00" in table
    assert "| 0.700 | 0.60 |" in table


def test_it_trains_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    keep("accuracy", trained("trained_twice", 0, 0.1, "convolution"), results)
    given = Namespace(
        networks=["convolution"], methods=["two_of_four", "trained_twice"], seeds=1, steps=4,
        cache=tmp_path,
    )  # fmt: skip
    record(given, results)
    record(given, results)
    kept = read("accuracy", results)
    assert [(one["method"], one["seed"]) for one in kept] == [
        ("trained_twice", 0),
        ("two_of_four", 0),
    ]
    assert 0 <= kept[1]["error"] <= 1
    assert read("cpu", results) == []


@pytest.mark.parametrize("case", cpu.CASES)
def test_the_layers_of_the_cpu_become_two_of_four(case: str) -> None:
    build, shape = cpu.CASES[case]
    network = build().eval()
    cpu.mask(network)
    matrices = [weight for weight in network.parameters() if weight.ndim > 1]
    assert matrices
    assert all(is_two_of_four(reduction_matrix(weight)) for weight in matrices)
    with torch.no_grad():
        network(torch.randn(shape))


def test_a_layer_is_compared_with_itself_for_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "PAIRS", 5)
    monkeypatch.setattr(cpu, "SIDE_NS", 100_000)
    monkeypatch.setattr(cpu, "CASES", {"small": (lambda: nn.Linear(16, 8), (1, 16))})
    figures = cpu.compare("small", "openvino", 0, tmp_path)
    assert 0.2 < figures["ratio"] < 5
    assert figures["relative_error"] < 1e-5


@pytest.mark.skipif(has_sparse_tensor_cores(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_claimed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matmul.record(tmp_path / "results.jsonl")
    assert capsys.readouterr().out.strip() == matmul.NOT_MEASURED
    assert not (tmp_path / "results.jsonl").exists()


def test_a_refusal_stands_in_the_table_with_its_reason() -> None:
    about = {"dtype": "int8", "M": 32}
    told = {"dense_us": 10.0, "sparse_us": 5.0, "ratio": 2.0, "relative_error": 0.0}
    records = [{**about, "failed": "no kernel"}, {**about, "M": 64, **told}]
    table = timing_table(records, ("dtype", "M"), lambda found: f"{len(found)} records")
    assert "| int8 | 32 | - | - | no kernel | - |" in table
    assert "| int8 | 64 | 10 | 5 | 2.00 | 0.0e+00 |" in table
    assert table.endswith("2 records")


def test_the_page_is_what_the_records_say(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    before = page.read_text(encoding="utf-8")
    write_part("accuracy", accuracy_table(read("accuracy")), page)
    write_part("cpu", timing_table(read("cpu"), ("case", "runtime"), cpu.told), page)
    assert page.read_text(encoding="utf-8") == before
    for line in PAGE.with_name("results.jsonl").read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["kind"] in {"accuracy", "cpu", "matmul"}
