"""Low-rank adapters on linear layers, and their merging into the weights.

[Hu2022] Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, arXiv 2106.09685.
"""

import warnings
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel


LoraTargets: TypeAlias = Literal["all", "attention", "mlp"]
"""Linear layers: all but the head, or those of a kind."""


def with_adapters(
    network: "PreTrainedModel", rank: int, alpha_ratio: float, targets: LoraTargets = "all"
) -> nn.Module:
    """The network with adapters of `rank` on these linear layers, all else frozen.

    alpha_ratio: the adapters' product is scaled by it, whatever the rank. The adapters' first
    factors are drawn from torch's random state; the second are 0, so that nothing changes yet.
    """
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415  (missed only where it is used)
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415

    linear = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not network.get_output_embeddings()
    }
    config = LoraConfig(
        r=rank,
        lora_alpha=round(rank * alpha_ratio),
        target_modules=[name for name in linear if targets in ("all", _kind_of(name))],
        task_type="CAUSAL_LM",
        # GPT-2's layers hold their weights transposed
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in linear.values()),
    )
    with warnings.catch_warnings():
        # peft asks transformers for a property by the name that it had before
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return cast(nn.Module, get_peft_model(network, config))


def _kind_of(layer: str) -> LoraTargets:
    """Families name the one part self_attn, attn or attention, the other mlp in most."""
    return "attention" if "attn" in layer or "attention" in layer else "mlp"


def merged(network: nn.Module) -> "PreTrainedModel":
    """The network without adapters, its weights the sum of what they were and the adapters'."""
    merge = network.merge_and_unload
    return cast("PreTrainedModel", merge())  # type: ignore[operator]
