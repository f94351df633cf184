import pytest
import torch

from workers.training.weights import load_weights, save_weights


class Tied(torch.nn.Module):
    """An embedding whose weights are also those of the output layer."""

    def __init__(self, width=4):
        super().__init__()
        self.embedding = torch.nn.Embedding(10, width)
        self.norm = torch.nn.BatchNorm1d(width)
        self.output = torch.nn.Linear(width, 10, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, tokens):
        return self.output(self.norm(self.embedding(tokens)))


def test_a_network_with_shared_weights_gives_the_same_answers_afterwards(tmp_path):
    torch.manual_seed(0)
    network = Tied()
    network(torch.arange(10))  # moves the running statistics, which are part of the state
    network.eval()
    save_weights(network, tmp_path / "network.safetensors")
    other = Tied().eval()
    load_weights(other, tmp_path / "network.safetensors")
    tokens = torch.tensor([1, 5, 9])
    assert torch.equal(network(tokens), other(tokens))
    assert other.output.weight is other.embedding.weight


def test_weights_that_are_not_contiguous_are_kept_too(tmp_path):
    network = torch.nn.Linear(3, 5, bias=False)
    network.weight = torch.nn.Parameter(torch.randn(3, 5).t())
    save_weights(network, tmp_path / "network.safetensors")
    other = torch.nn.Linear(3, 5, bias=False)
    load_weights(other, tmp_path / "network.safetensors")
    assert torch.equal(network.weight, other.weight)


def test_weights_of_another_architecture_are_refused(tmp_path):
    save_weights(Tied(4), tmp_path / "network.safetensors")
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(Tied(5), tmp_path / "network.safetensors")
    with pytest.raises(RuntimeError, match="Missing key"):
        load_weights(torch.nn.Linear(2, 2), tmp_path / "network.safetensors")
