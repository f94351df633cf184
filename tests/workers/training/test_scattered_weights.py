import torch

from workers.training.scattered_weights import scatter_weights


class Fresh(torch.nn.Module):
    """Two equal norms, a bias of zeros, a single weight, and a buffer that must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm1d(6) for _ in range(2))
        self.linear = torch.nn.Linear(6, 6)
        self.scale = torch.nn.Parameter(torch.zeros(1))
        torch.nn.init.zeros_(self.linear.bias)


def test_no_two_weights_stay_equal_and_none_zero():
    network = Fresh()
    scatter_weights(network, seed=3)
    tensors = [weight.detach().flatten() for weight in network.parameters()]
    values = torch.cat(tensors)
    assert (values != 0).all()
    assert len(torch.unique(values)) == len(values)


def test_weights_stay_near_and_buffers_as_they_were():
    network = Fresh()
    scatter_weights(network, seed=3)
    for norm in network.norms:
        assert torch.equal(norm.running_var, torch.ones(6))
        assert torch.allclose(norm.weight, torch.ones(6), atol=0.01)


def test_it_is_a_function_of_the_seed_and_draws_nothing_else():
    def scattered(seed):
        torch.manual_seed(0)
        network = Fresh()
        before = torch.get_rng_state()
        scatter_weights(network, seed)
        assert torch.equal(before, torch.get_rng_state())
        return network.linear.weight

    assert torch.equal(scattered(1), scattered(1))
    assert not torch.equal(scattered(1), scattered(2))
