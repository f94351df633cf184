"""Which decoder blocks a language model misses least, told from one forward pass over texts.

[Gromov2024] Gromov et al., The Unreasonable Ineffectiveness of the Deeper Layers,
    arXiv 2403.17887, eq. 7: the angular distance between what enters a run of blocks and what
    leaves it, at the last token.
[Men2024] Men et al., ShortGPT: Layers in Large Language Models are More Redundant Than You
    Expect, arXiv 2403.03853, eq. 1: Block Influence, over all tokens.

Shapes: B texts, T tokens, d hidden width, L blocks, n rows (texts, or texts x tokens).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from search_spaces.compression.depth import layers_to_drop
from search_spaces.language.depth_pruned_llm.decoder_blocks import decoder_blocks

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BlockCriterion = Literal["angular", "block_influence", "last"]


@dataclass
class _Recorder:
    """Gathers the hidden states at the blocks' borders; border L is before the final norm."""

    borders: list[list[Tensor]] = field(default_factory=list)

    def entering(self, border: int) -> Callable[[nn.Module, Any, Any], None]:
        def record(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            self._add(border, given[0] if given else named["hidden_states"])

        return record

    def leaving(self, border: int) -> Callable[[nn.Module, Any, Any], None]:
        def record(_: nn.Module, __: Any, answer: Any) -> None:
            self._add(border, answer[0] if isinstance(answer, tuple) else answer)

        return record

    def _add(self, border: int, states: Tensor) -> None:
        self.borders[border].append(states.detach().cpu())


@torch.no_grad()
def border_states(network: "PreTrainedModel", texts: Iterable[Tensor]) -> list[Tensor]:
    """The hidden states at all L + 1 borders of the blocks, each N x T x d, from one pass.

    texts: batches of B x T token numbers without padding, all of one length T; N is their sum.
    They are recorded at the blocks themselves: the last of the hidden states that the library
    returns has gone through the final norm, which no block may be compared with.
    """
    blocks = decoder_blocks(network)
    recorder = _Recorder([[] for _ in range(len(blocks) + 1)])
    hooks = [
        block.register_forward_pre_hook(recorder.entering(number), with_kwargs=True)
        for number, block in enumerate(blocks)
    ]
    hooks.append(blocks[-1].register_forward_hook(recorder.leaving(len(blocks))))
    try:
        for tokens in texts:
            network(input_ids=tokens.to(network.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return [torch.cat(states) for states in recorder.borders]


def last_token(states: Sequence[Tensor]) -> list[Tensor]:
    """Of N x T x d states those of each text's last token, N x d."""
    return [state[:, -1] for state in states]


def all_tokens(states: Sequence[Tensor]) -> list[Tensor]:
    """Of N x T x d states those of all tokens, N*T x d."""
    return [state.flatten(0, 1) for state in states]


def block_influences(states: Sequence[Tensor]) -> Tensor:
    """Block Influence of each of the L blocks, in [0, 2]; smaller is less missed [Men2024].

    states: L + 1 tensors n x d, as in `angular_distances`; BI = 1 - mean cosine of what enters
        a block and what leaves it.
    """
    return torch.stack(
        [
            1.0 - torch.cosine_similarity(entering.double(), leaving.double(), dim=-1).mean()
            for entering, leaving in pairwise(states)
        ]
    )


def blocks_to_remove(
    criterion: BlockCriterion, count: int, states: Sequence[Tensor]
) -> tuple[int, ...]:
    """The numbers of the `count` blocks to remove, in rising order; at least one block stays.

    states: as `border_states` gives them, N x T x d.
    angular: the run of `count` blocks that turns the last token's state least [Gromov2024].
    block_influence: the blocks of least influence, in a run or not; the earlier of equals.
    last: the last ones, whatever the states.
    Raises: ValueError if none would stay.
    """
    if criterion != "block_influence":
        return tuple(layers_to_drop(criterion, count, last_token(states)))
    if not 0 <= count < len(states) - 1:
        raise ValueError(f"cannot remove {count} of {len(states) - 1} blocks; one must stay")
    influences = block_influences(all_tokens(states))
    return tuple(sorted(influences.argsort(stable=True)[:count].tolist()))
