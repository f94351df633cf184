"""A model of one's own as transformers loads it, and the shape of what pruning leaves of it.

transformers is imported where a model is made, so that the extra that brings it is missed only
there.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from search_spaces.language.depth_pruned_llm.decoder_blocks import decoder_blocks, remove_blocks
from search_spaces.language.depth_pruned_pretrained.model_folder import (
    FolderUnusable,
    ModelFolder,
)
from search_spaces.recipe import ArmInfeasible

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def device_here() -> torch.device:
    """The GPU that the worker has given this process, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_model(folder: ModelFolder) -> "PreTrainedModel":
    """The unpruned model in eval mode. Raises: FolderUnusable."""
    from transformers import AutoModelForCausalLM  # noqa: PLC0415  (see above)

    dtype = getattr(torch, folder.settings.dtype)
    network = AutoModelForCausalLM.from_pretrained(folder.model, dtype=dtype)
    _refuse_unlike_blocks(network.config)
    return network.to(device_here()).eval()


def load_tokenizer(folder: ModelFolder) -> "PreTrainedTokenizerBase":
    """The model's tokenizer, with a padding token; held. Raises: FolderUnusable."""
    return _tokenizer(folder.model, folder.fingerprint)


@lru_cache(maxsize=1)
def _tokenizer(model: Path, _: str) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer  # noqa: PLC0415  (see above)

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model)
    if tokenizer.eos_token_id is None:
        raise FolderUnusable(
            f"the tokenizer in {model} has no eos_token, so that no response would end; "
            "set one and save it again"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def pruned_shape(folder: ModelFolder, removed: int) -> "PreTrainedModel":
    """The model without so many blocks, in eval mode, with weights that follow from its shape.

    Raises: ArmInfeasible if no block would stay; FolderUnusable.
    """
    from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415  (see above)

    config = AutoConfig.from_pretrained(folder.model)
    _refuse_unlike_blocks(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dtype = getattr(torch, folder.settings.dtype)
        network: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    blocks = len(decoder_blocks(network))
    if removed >= blocks:
        raise ArmInfeasible(f"removed_blocks is {removed}, and the model has {blocks} blocks")
    remove_blocks(network, range(blocks - removed, blocks))
    return network.eval()


def _refuse_unlike_blocks(config: Any) -> None:
    """Blocks of several kinds: what is left would depend on which are removed, not on how many."""
    for name, value in config.to_dict().items():
        is_per_block = isinstance(value, list | tuple) and len(value) == config.num_hidden_layers
        if name.startswith("layer") and is_per_block and len(set(map(str, value))) > 1:
            kinds = ", ".join(sorted(set(map(str, value))))
            raise FolderUnusable(
                f"the model's blocks are of several kinds ({name}: {kinds}); "
                "take one whose blocks are alike"
            )
