"""Takes decoder blocks out of any causal language model of the transformers library.

The blocks are the one `ModuleList` that is as long as the configuration's `num_hidden_layers`:
`model.layers` of the Llama family, `transformer.h` of GPT-2, `gpt_neox.layers` of GPT-NeoX.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NO_LIST_OF_BLOCKS = ("architectures", "bos_token_id", "eos_token_id", "pad_token_id")
"""Lists in a configuration that may happen to be as long as there are blocks."""


class UnknownDecoder(ValueError):
    """The network's decoder blocks cannot be told, or do not work under another number."""


def decoder_blocks(network: "PreTrainedModel") -> nn.ModuleList:
    """The network's decoder blocks, in their order.

    A list within a block (experts, say) is none, whatever its length.
    Raises: UnknownDecoder if no list, or more than one, has the configuration's length.
    """
    count = network.config.num_hidden_layers
    found: dict[str, nn.ModuleList] = {}
    for name, module in network.named_modules():
        is_within = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, nn.ModuleList) and len(module) == count and not is_within:
            found[name] = module
    if len(found) != 1:
        raise UnknownDecoder(
            f"{type(network).__name__} has {len(found)} lists of {count} modules, not one"
            f"{': ' if found else ''}{', '.join(found)}"
        )
    (blocks,) = found.values()
    return blocks


def remove_blocks(network: "PreTrainedModel", removed: Collection[int]) -> None:
    """Takes the blocks of these numbers, counted from 0, out of the network itself.

    What remains is a legal network of the same family: blocks are numbered anew, since each keeps
    its keys and values under its number, and the configuration's count and lists of one entry
    per block follow, so that it is saved, loaded and generates like any other.
    Raises: ValueError if a number is no block's or none would stay; UnknownDecoder.
    """
    blocks = decoder_blocks(network)
    before = len(blocks)
    unknown = sorted(set(removed) - set(range(before)))
    if unknown:
        raise ValueError(f"there is no block {unknown[0]}; the blocks are 0 to {before - 1}")
    kept = [number for number in range(before) if number not in set(removed)]
    if not kept:
        raise ValueError(f"cannot remove all {before} blocks; one must stay")
    if getattr(network.config, "scale_attn_by_inverse_layer_idx", False):
        raise UnknownDecoder(
            "its attention is scaled by the block's number (scale_attn_by_inverse_layer_idx), "
            "which removing blocks before it would change"
        )
    for number in sorted(set(removed), reverse=True):
        del blocks[number]
    for number, block in enumerate(blocks):
        for module in block.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                module.layer_idx = number  # type: ignore[assignment]  # a plain int, no module
    for config in _configs(network):
        _shorten(config, before, kept)


def _configs(network: nn.Module) -> Iterator[Any]:
    """Each configuration once; most families share one among all their modules."""
    seen: set[int] = set()
    for module in network.modules():
        config = getattr(module, "config", None)
        if hasattr(config, "num_hidden_layers") and id(config) not in seen:
            seen.add(id(config))
            yield config


def _shorten(config: Any, before: int, kept: list[int]) -> None:
    if config.num_hidden_layers != before:
        return
    per_block = {
        name: [value[number] for number in kept]
        for name, value in config.to_dict().items()
        if isinstance(value, list | tuple) and len(value) == before
        if name not in _NO_LIST_OF_BLOCKS
    }
    config.num_hidden_layers = len(kept)
    for name, values in per_block.items():
        setattr(config, name, values)
