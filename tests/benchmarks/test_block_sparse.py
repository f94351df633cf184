"""The benchmark compares the same network in both runtimes and tells all that it compared."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import block_sparse
from benchmarks.block_sparse import cases, compare, export, table


def test_both_runtimes_compute_the_same_network(tmp_path: Path) -> None:
    case = next(case for case in cases() if case.sparsity == 0.9)
    export(case, tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes["sparse.onnx"] < 0.2 * sizes["dense.onnx"]
    figures = compare(case, tmp_path)
    assert figures["relative_error"] < 1e-5
    assert figures["ratio"] > 0


@pytest.mark.alone
def test_a_large_layer_gains_from_its_zeros(tmp_path: Path) -> None:
    """The bar is 4 (benchmarks/block_sparse.md: 7.5); here on whatever machine and load."""
    case = next(c for c in cases() if c.row == "512 to 2048, rows: 64" and c.sparsity == 0.9)
    export(case, tmp_path)
    assert compare(case, tmp_path)["ratio"] > 2


def test_a_layer_is_replaced_against_the_threshold_if_forced(tmp_path: Path) -> None:
    forced = next(case for case in cases() if case.sparsity == 0.25)
    sizes = []
    for case in (forced, replace(forced, forced=False)):
        export(case, tmp_path)
        sizes.append((tmp_path / "sparse.onnx").stat().st_size)
    assert sizes[0] < 0.85 * sizes[1]


def test_every_network_has_its_row_and_every_sparsity_its_column() -> None:
    figures = {"ratio": 2.0, "dense_us": 10.0}
    results = [{case.name: figures for case in cases()} for _ in range(2)]
    for name in ("layers", "small layers", "encoders"):
        lines = table(name, results).splitlines()
        rows = dict.fromkeys(case.row for case in cases() if case.table == name)
        assert [line.split("|")[1].strip() for line in lines[2:]] == list(rows)
        assert all(
            line.count("2.00 (2.00-2.00)") == len(block_sparse.SPARSITIES) for line in lines[2:]
        )
