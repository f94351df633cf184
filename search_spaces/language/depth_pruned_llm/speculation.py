"""How well a pruned network drafts for the unpruned one in speculative decoding.

[Leviathan2023] Leviathan, Kalman, Matias, Fast Inference from Transformers via Speculative
    Decoding, arXiv 2211.17192; with greedy decoding a draft's token is accepted where it is the
    target's own choice, and the text is that of the target alone.

No decoding is needed to count this: all that is accepted equals the target's greedy text, so that
every draft starts from a prefix of it. One forward pass of the draft over that text tells at which
places the draft agrees, and the rounds follow.

Shapes: B texts, T tokens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from search_spaces.language.depth_pruned_llm.evaluation import right_share
from search_spaces.recipe import Estimate

if TYPE_CHECKING:
    from transformers import PreTrainedModel


DRAFT_LENGTH = 4


@dataclass(frozen=True)
class Speculation:
    """Counts over any number of texts; `tokens` of them were generated in all.

    proposed: tokens that the draft put up; accepted: those that the target agreed with.
    target_calls: forward passes of the target, each of which checks one draft and adds a token.
    """

    tokens: int
    proposed: int
    accepted: int
    target_calls: int

    @property
    def acceptance_rate(self) -> float:
        """Accepted per proposed; nan where nothing was proposed."""
        return self.accepted / self.proposed if self.proposed else float("nan")

    @property
    def tokens_per_target_call(self) -> float:
        """Tokens that one pass of the target gives; 1 without a draft, at most its length + 1."""
        return self.tokens / self.target_calls


def speculate(agreements: Iterable[Sequence[bool]], draft_length: int) -> Speculation:
    """Plays through the rounds of speculative decoding.

    agreements: for each text, token by token, whether the draft would have chosen the target's
        token, given all of the target's tokens before it.
    A round proposes up to `draft_length` tokens, never more than the text still has room for
    beside the token that the target itself adds; the first that is refused ends the round.
    """
    if draft_length < 1:
        raise ValueError(f"a draft has at least one token, got {draft_length}")
    tokens = proposed = accepted = target_calls = 0
    for agreed in agreements:
        place = 0
        while place < len(agreed):
            length = min(draft_length, len(agreed) - place - 1)
            run = 0
            while run < length and agreed[place + run]:
                run += 1
            proposed += length
            accepted += run
            target_calls += 1
            place += run + 1
        tokens += len(agreed)
    return Speculation(tokens, proposed, accepted, target_calls)


def acceptance_rate(
    draft: "PreTrainedModel", drafted: Iterable[tuple[Tensor, Tensor]], padding: int
) -> Estimate:
    """The share of drafted tokens that the target accepts, `DRAFT_LENGTH` at a time.

    drafted: prompts and the target's responses to them, as `agreements` takes them.
    padding: the token behind the end of a response that is shorter than others of its batch.
    """
    agreed: list[list[bool]] = []
    for prompts, responses in drafted:
        rows = agreements(draft, prompts, responses).tolist()
        lengths = (responses != padding).sum(dim=1).tolist()
        agreed += [row[:length] for row, length in zip(rows, lengths, strict=True)]
    rounds = speculate(agreed, DRAFT_LENGTH)
    # a model that ends each response at once leaves nothing to draft
    return right_share(rounds.accepted, max(1, rounds.proposed))


@torch.no_grad()
def agreements(draft: "PreTrainedModel", prompts: Tensor, responses: Tensor) -> Tensor:
    """Where the draft's choice is the target's token: B x R bools for R tokens of response.

    prompts: B x P token numbers without padding; responses: B x R, the target's greedy
        continuation of each.
    """
    texts = torch.cat([prompts, responses], dim=1)
    scores: Tensor = draft(input_ids=texts[:, :-1].to(draft.device), use_cache=False).logits
    chosen = scores[:, prompts.shape[1] - 1 :].argmax(dim=-1).cpu()
    return chosen == responses
