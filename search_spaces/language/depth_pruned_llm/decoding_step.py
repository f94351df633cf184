"""One step of decoding as a network of its own, with the cache as its inputs, for any runtime.

Runtimes on devices have fixed shapes and no objects: the cache has room for a given number of
tokens, and a step gives the keys and values of its token for whoever keeps the cache.

Shapes: N blocks, H heads of keys, C places of the cache, D of a head, V words.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Step = Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]
"""Runs a `DecodingStep`, wherever: its four inputs to its three answers."""


class DecodingStep(nn.Module):
    """A decoder of transformers, one token at a time.

    Any whose blocks ask their cache to `update`, and take a mask of four dimensions as it is.
    """

    def __init__(self, language_model: "PreTrainedModel") -> None:
        super().__init__()
        self.language_model = language_model

    def forward(
        self, token: Tensor, place: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The scores of the next token, 1 x V, and this token's keys and values, N x H x 1 x D.

        token: 1 x 1 int64, at `place` (1 x 1 int64, from 0).
        keys, values: N x H x C x D; those at `place` and behind it do not matter.
        """
        cache = _Cache(keys, values)
        places = torch.arange(keys.shape[2] + 1, device=keys.device)[None, None, None, :]
        # The token sees those before it, and itself, which comes last.
        is_seen = (places < place) | (places == keys.shape[2])
        mask = torch.where(is_seen, 0.0, torch.finfo(keys.dtype).min).to(keys.dtype)
        answer = self.language_model(
            input_ids=token,
            attention_mask=mask,
            position_ids=place,
            past_key_values=cache,
            use_cache=True,
        )
        return answer.logits[:, -1], torch.cat(cache.new_keys), torch.cat(cache.new_values)

    def empty_cache(self, places: int) -> tuple[Tensor, Tensor]:
        """Keys and values with room for so many tokens."""
        config = self.language_model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        shape = (config.num_hidden_layers, heads, places, width)
        return torch.zeros(shape), torch.zeros(shape)


class _Cache:
    """What the blocks take for a cache of transformers."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self._keys = keys
        self._values = values
        self.new_keys: list[Tensor] = []
        self.new_values: list[Tensor] = []

    def update(
        self, key: Tensor, value: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        self.new_keys.append(key)
        self.new_values.append(value)
        keys, values = self._keys[layer_idx][None], self._values[layer_idx][None]
        return torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)


def decode_greedily(
    step: Step,
    prompt: Sequence[int],
    count: int,
    cache: tuple[NDArray[Any], NDArray[Any]],
    end: int | None = None,
) -> list[int]:
    """The `count` tokens after the prompt, one at a time, or as many as there are up to `end`.

    cache: keys and values as of `DecodingStep.empty_cache`, written to.
    end: the token after which nothing follows; it is given with the others.
    Raises: ValueError if it has no room for all of them.
    """
    keys, values = cache
    if len(prompt) + count - 1 > keys.shape[2]:
        raise ValueError(
            f"the cache has room for {keys.shape[2]} tokens, not for a prompt of {len(prompt)} "
            f"and {count} more; make it larger or ask for less"
        )
    tokens = list(prompt)
    for place in range(len(prompt) + count - 1):
        asked = (np.array([[tokens[place]]]), np.array([[place]]), keys, values)
        scores, new_keys, new_values = step(asked)
        keys[:, :, place] = new_keys[:, :, 0]
        values[:, :, place] = new_values[:, :, 0]
        if place >= len(prompt) - 1:
            tokens.append(int(scores.argmax()))
            if tokens[-1] == end:
                break
    return tokens[len(prompt) :]
