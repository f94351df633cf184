"""Layers that are mostly zeros are kept and run in CSR, the others as they are."""

from pathlib import Path

import pytest
import torch
from torch import nn

from workers.measurement.agreement import check_agreement
from workers.runtimes.torch_csr import TorchCsr
from workers.runtimes.torch_eager import TorchEager

INPUTS = [(torch.randn(2, 3, 64),) for _ in range(3)]


def sparse_network(zero_share: float) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 96, bias=False), nn.ReLU(), nn.Linear(96, 5)
    )
    with torch.no_grad():
        for layer in (network[0], network[2]):
            layer.weight[torch.rand_like(layer.weight) < zero_share] = 0.0
    return network.eval()


@pytest.mark.parametrize(("zero_share", "is_smaller"), [(0.95, True), (0.6, False)])
def test_zeros_are_left_out_of_the_file_and_of_no_answer(
    zero_share: float, is_smaller: bool, tmp_path: Path
) -> None:
    network = sparse_network(zero_share)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    exported = TorchCsr().export(network, INPUTS[0], tmp_path)
    check_agreement(network, TorchCsr().load(exported.path), INPUTS)
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)
    (tmp_path / "dense").mkdir()
    dense = TorchEager().export(network, INPUTS[0], tmp_path / "dense")
    weights_bytes = 4 * (64 * 256 + 256 * 96)
    if is_smaller:
        assert exported.size_bytes < dense.size_bytes - weights_bytes / 2
    else:
        assert exported.size_bytes == pytest.approx(dense.size_bytes, rel=0.02)


def test_the_product_is_really_one_with_a_sparse_matrix(tmp_path: Path) -> None:
    network = sparse_network(0.95)
    session = TorchCsr().load(TorchCsr().export(network, INPUTS[0], tmp_path).path)
    session.prepare(INPUTS[0])
    with torch.profiler.profile() as profile:
        session.invoke()
    called = {event.key for event in profile.key_averages()}
    assert "aten::linear" in called  # the layer without zeros
    assert "archfront::csr_linear" not in called
    assert {"aten::addmm", "aten::mm"} <= called
