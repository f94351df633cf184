"""The benchmark of runtimes measures what it lacks, and its page says what was measured."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.runtimes import __main__ as command
from benchmarks.runtimes.case import Order, export_reference, measure
from benchmarks.runtimes.networks import DESCRIPTIONS, NETWORK_NAMES, Case, build
from benchmarks.runtimes.records import keep, key_of, read
from benchmarks.runtimes.table import SPARSE, text_of
from service.domain.default_runtime import COSTS
from service.domain.runtimes import RUNTIME_PRECISIONS


def record(network: str, ratio: float, seed: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "network": network, "runtime": "openvino", "version": "1.0", "precision": "fp32",
        "seed": seed, "processor": "a chip", "cores": 2, "torch": "2.0", "load_average": 0.5,
        "export_s": 4.0, "export_cpu_s": 3.0, "size_bytes": 2_000_000, "relative_error": 1e-6,
        "agrees": True, "ratio": ratio, "ratio_sem": 0.01, "reference_ms": 0.5,
        "at": "2026-11-27", **changes,
    }  # fmt: skip


def test_every_network_is_described() -> None:
    assert tuple(DESCRIPTIONS) == NETWORK_NAMES
    assert SPARSE.keys() < DESCRIPTIONS.keys()
    for name in SPARSE:
        weight = build(name, 0).network.layer.weight
        assert (weight == 0).float().mean().item() == pytest.approx(0.9, abs=0.001)


def test_a_case_is_measured_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.runtimes.case.MIN_PAIRS", 16)
    monkeypatch.setattr("benchmarks.runtimes.case.TIME_LIMIT_S", 0.1)
    reference = export_reference(tmp_path)
    figures = measure(Order("wide", "torch_eager", "fp32", 0, str(reference)), tmp_path)
    assert figures["agrees"]
    assert figures["relative_error"] < 1e-5
    assert figures["size_bytes"] > 4 * 512 * 2048
    assert figures["pairs"] == 16
    assert min(figures["ratio"], figures["export_cpu_s"], figures["reference_ms"]) > 0


class DataDependent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x - 1


def test_what_a_runtime_cannot_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(DataDependent().eval(), [(torch.ones(2),)])
    monkeypatch.setattr("benchmarks.runtimes.case.build", lambda *_: case)
    figures = measure(Order("encoder", "torch_eager", "fp32", 0, ""), tmp_path)
    assert "cannot be exported to torch_eager" in figures["failed"]


def test_the_page_gives_medians_and_their_spread() -> None:
    records = [record("encoder", ratio, seed) for seed, ratio in enumerate((2.0, 6.0, 3.0))]
    page = text_of(records)
    assert "| openvino | fp32 | 1.5 (1-3) | 3 (3-3) | 2 | 1.0e-06 |" in page
    assert "Seeds of weights and inputs: 3." in page
    assert "openvino 1.0" in page
    other = record("encoder", 1.0, precision="bf16")
    assert "Seeds of weights and inputs: 1 to 3." in text_of([*records, other])


def test_the_gain_of_zeros_is_taken_seed_by_seed() -> None:
    records = [record("wide", 4.0, 0), record("wide", 8.0, 1), record("wide", 6.0, 2)]
    records += [record("wide_blocks", 1.0, 0), record("wide_blocks", 4.0, 1)]
    assert "| openvino | fp32 | 3 (2-4) | - |" in text_of(records)


def test_errors_beyond_the_tolerance_and_failures_stand_out() -> None:
    records = [
        record("encoder", 1.0, agrees=False, relative_error=0.5),
        {**record("encoder", 1.0, precision="bf16"), "failed": "no such layer"},
    ]
    page = text_of(records)
    assert "**5.0e-01**" in page
    assert "| openvino | bf16 | - | - | - | - |" in page
    assert "- openvino, bf16: no such layer" in page


def test_a_newer_record_of_a_case_takes_the_place_of_an_older_one() -> None:
    old, new = record("encoder", 2.0), record("encoder", 8.0, version="2.0")
    other = record("encoder", 99.0, processor="another chip")
    assert "| 4 |" in text_of([other, old, new])


def test_what_is_kept_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, table = tmp_path / "results.jsonl", tmp_path / "results.md"
    asked = []

    def run(order: Order) -> dict[str, Any]:
        asked.append((order.network, order.runtime, order.precision, order.seed))
        return {"failed": "not really tried"}

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(command, "export_reference", lambda folder: folder / "network.onnx")
    given = ["--runtimes", "onnxruntime", "--results", str(results), "--table", str(table)]
    command.main([*given, "--seeds", "1"])
    precisions = RUNTIME_PRECISIONS["onnxruntime"]
    assert set(asked) == {
        (network, "onnxruntime", precision, 0)
        for network in NETWORK_NAMES
        for precision in (("fp32",) if network in SPARSE else precisions)
    }
    asked.clear()
    command.main([*given, "--seeds", "2"])
    assert {seed for *_, seed in asked} == {1}
    assert "not really tried" in table.read_text()


def test_records_are_read_as_they_were_kept(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    assert read(results) == []
    kept = record("encoder", 2.0)
    keep(kept, results)
    assert read(results) == [json.loads(json.dumps(kept))]
    assert key_of(kept).runtime == "openvino"


def test_the_costs_that_choose_the_default_runtime_are_those_measured() -> None:
    """To within a half: machines and loads differ, an order of magnitude does not pass."""
    measured: dict[Any, list[dict[str, Any]]] = {}
    for one in read():
        if one["network"] == "encoder" and "failed" not in one:
            measured.setdefault((one["runtime"], one["precision"]), []).append(one)
    assert measured.keys() >= COSTS.keys()
    for case, cost in COSTS.items():
        export_s = statistics.median(one["export_cpu_s"] for one in measured[case])
        latency = statistics.median(one["ratio"] for one in measured[case])
        assert cost.export_s == pytest.approx(export_s, rel=0.5), case
        assert cost.latency == pytest.approx(latency, rel=0.5), case
