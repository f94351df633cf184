import pytest
import torch

from search_spaces.language.nlu_encoder.network import (
    INTENT_COUNT,
    TAG_COUNT,
    CommandEncoder,
    EncoderShape,
)
from tests.search_spaces.language.nlu_encoder.arms import arm_with

VARIANTS = [
    {},
    {"norm_placement": "post", "activation": "relu"},
    {"pooling": "max", "conv_layers": 2, "conv_kernel": 7},
    {"pooling": "attention", "conv_layers": 0, "conv_kernel": None},
    {"slots_see_intent": False, "activation": "silu", "width": 32, "heads": 5, "head_dim": 24},
]


def network_of(changes):
    torch.manual_seed(0)
    return CommandEncoder(EncoderShape.of_deployed(arm_with(**changes))).eval()


def ngrams_of(lengths, total, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ngrams = torch.randint(1, 1024, (len(lengths), total, 10), generator=generator)
    for row, length in enumerate(lengths):
        ngrams[row, length:] = 0
    return ngrams


@pytest.mark.parametrize("changes", VARIANTS)
def test_padding_and_neighbours_in_the_batch_do_not_matter(changes):
    network = network_of(changes)
    ngrams = ngrams_of([3, 7, 16], 16)
    with torch.no_grad():
        intents, tags = network(ngrams)
        assert intents.shape == (3, INTENT_COUNT)
        assert tags.shape == (3, 16, TAG_COUNT)
        for row, length in enumerate([3, 7, 16]):
            alone_intents, alone_tags = network(ngrams[row : row + 1, :length])
            assert torch.allclose(alone_intents, intents[row : row + 1], atol=1e-5)
            assert torch.allclose(alone_tags, tags[row : row + 1, :length], atol=1e-5)


@pytest.mark.parametrize("changes", VARIANTS)
def test_the_order_of_words_matters(changes):
    network = network_of(changes)
    ngrams = ngrams_of([6], 6)
    with torch.no_grad():
        _, tags = network(ngrams)
        _, turned = network(ngrams.flip(1))
    assert not torch.allclose(tags, turned.flip(1), atol=1e-4)


@pytest.mark.parametrize("changes", VARIANTS)
def test_every_weight_is_used(changes):
    network = network_of(changes)
    intents, tags = network(ngrams_of([5, 9], 9))
    (intents.square().sum() + tags.square().sum()).backward()
    unused = [
        name
        for name, weight in network.named_parameters()
        # a key's bias adds the same to all scores of a query: no softmax sees it
        if not name.endswith("key.bias") and (weight.grad is None or not weight.grad.any())
    ]
    # nor does a softmax over words see the constant that the pooling score adds
    assert unused in ([], ["pooling_score.bias"])


def test_the_padding_row_stays_zero():
    network = network_of({})
    assert not network.embedding.weight[0].any()


def test_what_the_arm_prunes_structurally_is_gone():
    parent = EncoderShape.of_parent(arm_with())
    deployed = EncoderShape.of_deployed(
        arm_with(
            dropped_layers=2,
            drop_criterion="last",
            ffn_pruning="neurons",
            ffn_sparsity=0.75,
            attention_pruning="heads",
            attention_sparsity=0.5,
        )
    )
    assert (parent.layers, parent.heads, parent.ffn_width) == (3, 4, 256)
    assert (deployed.layers, deployed.heads, deployed.ffn_width) == (1, 2, 64)


def test_zeros_alone_change_no_shape():
    sparse = arm_with(ffn_pruning="unstructured", ffn_sparsity=0.9, attention_pruning="two_of_four")
    assert EncoderShape.of_deployed(sparse) == EncoderShape.of_parent(sparse)
