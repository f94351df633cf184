"""The benchmark of pruned exports: one small case for real, and its page."""

from pathlib import Path

import pytest

from benchmarks.pruned_export.records import keep, text_of
from benchmarks.pruned_export.speed import Case, export, run
from benchmarks.records import read

FIGURES = {
    "speedup": 1.2,
    "speedup_sem": 0.01,
    "tokens_per_s": 30.0,
    "unpruned_tokens_per_s": 25.0,
    "pairs": 64,
    "slow_rounds": 0,
    "noisy": False,
    "ended_by": "confidence",
}


@pytest.mark.alone
def test_a_network_without_blocks_gives_more_tokens_a_second(tmp_path: Path) -> None:
    case = Case("onnxruntime", removed=3, seed=0, blocks=4, precision="int8_dynamic")
    for blocks, precision in case.exports:
        export("onnxruntime", blocks, tmp_path, precision, width=72)
    figures = run(case, tmp_path, time_limit_s=2)
    assert 1.3 < figures["speedup"] < 4
    assert figures["tokens_per_s"] > 1
    assert figures.keys() == FIGURES.keys()


def test_the_page_compares_the_speed_up_with_the_blocks(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    for seed, speedup in enumerate((1.19, 1.2, 1.21)):
        keep(Case("onnxruntime", 6, seed), {**FIGURES, "speedup": speedup}, results)
    keep(Case("openvino", 6, 0), {**FIGURES, "speedup": 1.1, "noisy": True}, results)
    page = text_of(read(results))
    assert (
        "| onnxruntime | fp32 | 24 of 30 | 30.0 (30.0 to 30.0) | 1.200 (1.190 to 1.210) | 1.250 "
        "| 96.0 (95.2 to 96.8) | 3 | 0 | yes |"
    ) in page
    assert "| 88.0 (88.0 to 88.0) | 1 | 1 | no |" in page


def test_of_a_quantised_export_nothing_is_expected(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    keep(Case("openvino", 0, 0, precision="int8_dynamic"), {**FIGURES, "speedup": 3.0}, results)
    page = text_of(read(results))
    row = "| openvino | int8_dynamic | 30 of 30 | 30.0 (30.0 to 30.0) | 3.000 (3.000 to 3.000) |"
    assert f"{row}  |  | 1 | 0 |  |" in page
