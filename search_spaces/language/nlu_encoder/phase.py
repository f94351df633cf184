"""The optimizer steps of one network: its loss, its schedule of the learning rate, its state."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from search_spaces.arm import Arm
from search_spaces.language.nlu_encoder.batches import IGNORED_TAG, Batch
from search_spaces.language.nlu_encoder.network import CommandEncoder

_GRADIENT_NORM = 1.0


def _rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then linear decay; never 0 at a step that is taken."""
    rise = (step + 1) / (warmup + 1)
    return min(rise, 1.0) * (steps - step) / steps


class Phase:
    """Optimizer steps of one network under one schedule of the learning rate."""

    def __init__(self, network: CommandEncoder, arm: Arm, steps: int, peak_rate: float) -> None:
        given = arm.parameters
        self.network = network
        self.steps = steps
        self._peak_rate = peak_rate
        self._warmup = int(float(given["warmup_share"]) * steps)
        self._smoothing = float(given["label_smoothing"])
        self._slot_weight = float(given["slot_loss_weight"])
        matrices = [weight for weight in network.parameters() if weight.ndim > 1]
        vectors = [weight for weight in network.parameters() if weight.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": float(given["weight_decay"])},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=peak_rate,
            fused=True,
        )

    def _loss(self, batch: Batch) -> Tensor:
        intent_scores, tag_scores = self.network(batch.ngrams)
        intent_loss = cross_entropy(intent_scores, batch.intents, label_smoothing=self._smoothing)
        slot_loss = cross_entropy(
            tag_scores.flatten(0, 1),
            batch.tags.flatten(),
            ignore_index=IGNORED_TAG,
            label_smoothing=self._smoothing,
        )
        return intent_loss + self._slot_weight * slot_loss

    def step(self, number: int, batch: Batch) -> float:
        """One optimizer step; gives its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._peak_rate * _rate_factor(number, self.steps, self._warmup)
        loss = self._loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_NORM)
        self._optimizer.step()
        return loss.item()

    def state(self) -> Mapping[str, Any]:
        """The network's weights and the optimizer's moments."""
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from there, for a network of the same shape."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
