"""From the trained parent to the deployed network: layers, heads, neurons, then single weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.compression.depth import DepthCriterion, layers_to_drop
from search_spaces.compression.masks import two_of_four_mask, unstructured_mask
from search_spaces.compression.structured import (
    head_rows,
    head_scores,
    largest,
    neuron_scores,
)
from search_spaces.language.nlu_encoder.network import (
    CommandEncoder,
    EncoderLayer,
    EncoderShape,
    prunable_linears,
)


def prunes(arm: Arm) -> bool:
    """Whether anything at all is taken out of the parent."""
    given = arm.parameters
    return (
        int(given["dropped_layers"]) > 0
        or given["ffn_pruning"] != "none"
        or given["attention_pruning"] != "none"
        or float(given["embedding_sparsity"]) > 0
    )


@torch.no_grad()
def _calibration_states(parent: CommandEncoder, ngrams: Tensor) -> list[Tensor]:
    """The hidden states at every word (padding left out) around each layer; words x D each."""
    parent.eval()
    is_word = ngrams[:, :, 0] != 0
    return [state[is_word] for state in parent.hidden_states(ngrams)]


def _copy_linear(
    source: nn.Linear, target: nn.Linear, rows: Tensor | None = None, columns: Tensor | None = None
) -> None:
    """Copies the given output rows and input columns (None: all) into the smaller layer."""
    weight = source.weight if rows is None else source.weight[rows]
    target.weight.copy_(weight if columns is None else weight[:, columns])
    target.bias.copy_(source.bias if rows is None else source.bias[rows])


def _copy_layer(source: EncoderLayer, target: EncoderLayer) -> None:
    heads = largest(
        head_scores(
            source.attention.value.weight, source.attention.output.weight, source.attention.heads
        ),
        target.attention.heads,
    )
    rows = head_rows(heads, source.attention.head_dim)
    _copy_linear(source.attention.query, target.attention.query, rows=rows)
    _copy_linear(source.attention.key, target.attention.key, rows=rows)
    _copy_linear(source.attention.value, target.attention.value, rows=rows)
    _copy_linear(source.attention.output, target.attention.output, columns=rows)
    neurons = largest(
        neuron_scores(source.ffn_in.weight, source.ffn_out.weight), target.ffn_in.out_features
    )
    _copy_linear(source.ffn_in, target.ffn_in, rows=neurons)
    _copy_linear(source.ffn_out, target.ffn_out, columns=neurons)
    target.attention_norm.load_state_dict(source.attention_norm.state_dict())
    target.ffn_norm.load_state_dict(source.ffn_norm.state_dict())


@torch.no_grad()
def shrink(
    parent: CommandEncoder, arm: Arm, calibration: Tensor
) -> tuple[CommandEncoder, list[int]]:
    """The deployed network with the parent's weights, and the numbers of the layers dropped.

    calibration: B x T x G, training commands on which the layers are judged.
    """
    count = int(arm.parameters["dropped_layers"])
    criterion = cast(DepthCriterion, arm.parameters.get("drop_criterion", "last"))
    states = _calibration_states(parent, calibration)
    dropped = layers_to_drop(criterion, count, states)
    deployed = CommandEncoder(EncoderShape.of_deployed(arm))
    outside = {
        name: weight
        for name, weight in parent.state_dict().items()
        if not name.startswith("layers.")
    }
    deployed.load_state_dict(outside, strict=False)
    kept = [layer for number, layer in enumerate(parent.layers) if number not in dropped]
    for source, target in zip(kept, deployed.layers, strict=True):
        _copy_layer(cast(EncoderLayer, source), cast(EncoderLayer, target))
    return deployed, dropped


@dataclass
class _MaskedWeight:
    weight: Tensor
    make_mask: Callable[[Tensor, float], Tensor]
    final_sparsity: float
    mask: Tensor


class WeightMasks:
    """The zeros of a network: made from the weights' magnitudes, kept after every step."""

    def __init__(self, network: CommandEncoder, arm: Arm) -> None:
        self._masked: list[_MaskedWeight] = []
        self._add([network.embedding.weight], float(arm.parameters["embedding_sparsity"]))
        for group in ("ffn", "attention"):
            kind = arm.parameters[f"{group}_pruning"]
            weights = [linear.weight for linear in prunable_linears(network, group)]
            if kind == "unstructured":
                self._add(weights, float(arm.parameters[f"{group}_sparsity"]))
            elif kind == "two_of_four":
                self._add(weights, 0.5, pattern="two_of_four")

    def _add(
        self,
        weights: list[Tensor],
        sparsity: float,
        pattern: Literal["free", "two_of_four"] = "free",
    ) -> None:
        if sparsity <= 0.0:
            return
        make_mask = (
            unstructured_mask
            if pattern == "free"
            # all or nothing: the pattern has one sparsity
            else lambda weight, _: two_of_four_mask(weight)
        )
        self._masked += [
            _MaskedWeight(weight, make_mask, sparsity, torch.ones_like(weight, dtype=torch.bool))
            for weight in weights
        ]

    def __bool__(self) -> bool:
        return bool(self._masked)

    def remake(self, progress: float) -> None:
        """Makes the masks anew at the share `progress` in [0, 1] of their final sparsity."""
        for masked in self._masked:
            masked.mask = masked.make_mask(masked.weight, progress * masked.final_sparsity)

    @torch.no_grad()
    def apply(self) -> None:
        """Sets to zero what the masks drop."""
        for masked in self._masked:
            masked.weight.mul_(masked.mask)

    def state(self) -> list[Tensor]:
        """The masks as they are, always in the same order."""
        return [masked.mask for masked in self._masked]

    def restore(self, masks: Sequence[Tensor]) -> None:
        """Takes over the masks of the same network in the midst of its training."""
        for masked, mask in zip(self._masked, masks, strict=True):
            masked.mask = mask
