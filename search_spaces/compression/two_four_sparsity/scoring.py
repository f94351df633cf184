"""How often a network is wrong on one split."""

import torch
from torch import nn

from search_spaces.compression.two_four_sparsity.task import Split, in_order
from search_spaces.language.nlu_encoder.frames import error_share
from search_spaces.recipe import Estimate

_BATCH = 256


@torch.no_grad()
def count_errors(network: nn.Module, split: Split) -> int:
    """Examples that the network, put into eval mode, answers wrongly."""
    network.eval()
    return sum(
        int((network(examples.inputs).argmax(dim=-1) != examples.labels).sum())
        for examples in in_order(split, _BATCH)
    )


def error_of(network: nn.Module, split: Split) -> Estimate:
    """The share of wrong answers with its binomial standard error."""
    return error_share(count_errors(network, split), len(split))
