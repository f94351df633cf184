"""What is traced in ncnn's forms computes what the network does, without what ncnn lacks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from workers.runtimes.ncnn_forms import MOST_DIMENSIONS, forms_of, in_form, trace

IDS = torch.tensor([[3, 0, 7, 7, 1, 0]])
OTHERS = torch.tensor([[3, 1, 0, 7, 2, 0]])
NUMBERS = torch.tensor([[0.5, -0.5, 0.0, 2.0, -3.0, 0.25]])
TRUTHS = torch.tensor([[True, False, True, True, False, False]])


class Computes(nn.Module):
    def __init__(self, computed: Callable[..., object]) -> None:
        super().__init__()
        self.computed = computed
        torch.manual_seed(0)
        self.tokens = nn.Embedding(8, 12)

    def forward(self, *inputs: Tensor) -> object:
        return self.computed(self, *inputs)


def attention(network: Computes, ids: Tensor) -> Tensor:
    x = network.tokens(ids).view(1, 6, 3, 2, 2).permute(2, 0, 3, 1, 4)
    query, key, value = x
    mask = (ids != 0)[:, None, None, :]
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


COMPUTED: dict[str, tuple[Callable[..., object], tuple[Tensor, ...]]] = {
    "ids against 0": (lambda _, ids: (ids != 0, ids == 0, ids > 0, ids <= 0), (IDS,)),
    "ids against a number": (lambda _, ids: (ids != 7, ids == 7, ids < 3, ids >= 3), (IDS,)),
    "ids against ids": (lambda _, x, y: (x == y, x > y, x <= y), (IDS, OTHERS)),
    "floats": (lambda _, x: (x != 0, x == 0.5, x > 0.25, x < 0, x >= -0.5, x <= 0.25), (NUMBERS,)),
    "logic": (
        lambda _, x, y: (~x & (y < 1), x | (y > 0), x ^ (y == 0.5), torch.logical_not(x)),
        (TRUTHS, NUMBERS),
    ),
    "logic of ids": (lambda _, x, y: (~(x == y), (x > 0) & (y > 0)), (IDS, OTHERS)),
    "moved": (lambda _, ids: (ids[:, 2:] != 0)[..., None].transpose(1, 2).float() + 1, (IDS,)),
    "moved before": (lambda _, ids: (ids.view(2, 3)[:, :1] == 7, ids.unsqueeze(0) > 2), (IDS,)),
    "counted": (lambda _, ids: (ids != 0).to(torch.float32).sum(1), (IDS,)),
    "filled": (lambda _, x, y: (y.masked_fill(x, 2.5), y.masked_fill(~x, 0)), (TRUTHS, NUMBERS)),
    "filled with infinity": (
        lambda _, x, y: y.masked_fill(x, -torch.inf).softmax(-1),
        (TRUTHS, NUMBERS),
    ),
    "chosen": (lambda _, x, y: torch.where(x & (y > 0), y * 2, y - 1), (TRUTHS, NUMBERS)),
    "looked up": (lambda network, ids: network.tokens(ids).sum(1), (IDS,)),
    "looked up in rows": (lambda network, ids: network.tokens(ids), (IDS.view(1, 2, 3),)),
    "attention": (attention, (IDS,)),
    "rank 5 by index": (
        lambda network, ids: network.tokens(ids).view(1, 6, 2, 3, 2).transpose(1, 2)[:, :, :, 1],
        (IDS,),
    ),
    "rank 5 by selection": (
        lambda network, ids: network.tokens(ids).view(1, 6, 2, 3, 2).select(-2, -1),
        (IDS,),
    ),
}


@pytest.mark.parametrize("case", COMPUTED)
def test_it_computes_the_same_in_floats(case: str) -> None:
    computed, inputs = COMPUTED[case]
    network = Computes(computed).eval()
    with torch.no_grad():
        traced = trace(network, inputs)
        answers = traced(*(in_form(one, form) for one in inputs for form in forms_of(one)))
        expected = tree_leaves(network(*inputs))
    assert len(answers) == len(expected)
    for answer, one in zip(answers, expected, strict=True):
        assert answer.is_floating_point()
        torch.testing.assert_close(answer, one.to(torch.float32))


@pytest.mark.parametrize("case", COMPUTED)
def test_nothing_is_left_that_ncnn_lacks(case: str) -> None:
    computed, inputs = COMPUTED[case]
    with torch.no_grad():
        graph = trace(Computes(computed).eval(), inputs).inlined_graph
    for node in graph.nodes():
        for value in node.outputs():
            if value.isCompleteTensor() and value.type().sizes():  # a shape's sizes have none
                assert value.type().dtype() != torch.bool, node
                assert len(value.type().sizes()) <= MOST_DIMENSIONS, node


def test_other_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no input of torch\.float64"):
        forms_of(torch.zeros(1, dtype=torch.float64))


def test_the_network_is_left_as_it_was() -> None:
    network = Computes(COMPUTED["looked up"][0]).eval()
    with torch.no_grad():
        trace(network, (IDS,))
    assert type(network.tokens) is nn.Embedding
