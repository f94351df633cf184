"""What an arm makes sparse in its network: which weights, in what order of channels, how much."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.compression.channel_groups import permute_for_two_of_four
from search_spaces.compression.criteria import (
    Criterion,
    magnitude_scores,
    random_scores,
    wanda_scores,
)
from search_spaces.compression.input_norms import input_norms
from search_spaces.compression.patterns import TWO_OF_FOUR_SPARSITY, Pattern, pattern_mask
from search_spaces.compression.prunable import PrunableWeight, prunable_weights
from search_spaces.compression.reduction import from_reduction_matrix, reduction_matrix
from search_spaces.compression.two_four_sparsity.network import as_sparsifiable
from search_spaces.compression.two_of_four import require_two_of_four
from search_spaces.recipe import ArmInfeasible

_RANDOM_MASK_SALT = 1_000_003  # keeps what it draws apart from the order of the batches
_MAX_SWAPS = 200


class Sparsity:
    """The zeros of one arm, in one network.

    calibration: training inputs, batch by batch, on which `wanda` looks at activations.
    """

    def __init__(
        self, network: nn.Module, arm: Arm, calibration: Iterable[Tensor], seed: int
    ) -> None:
        given = arm.parameters
        self._network, self._arm, self._seed = network, arm, seed
        self._calibration = list(calibration)
        self.pattern: Pattern | None = None
        self._weights: list[PrunableWeight] = []
        if given["pattern"] == "none":
            return
        self.pattern = cast(Pattern, given["pattern"])
        self._criterion = cast(Criterion, given["mask_criterion"])
        feeds_only = given["sparse_scope"] == "feed_forward"
        self._weights = prunable_weights(
            network,
            self.pattern,
            dense_first_last=bool(given["dense_first_last"]),
            spared=as_sparsifiable(network).mixing_weights() if feeds_only else (),
        )
        if not self._weights:
            raise ArmInfeasible(
                f"no layer of this network can be sparse as {self.pattern}; widen it, set "
                "sparse_scope to all or dense_first_last to false"
            )

    @property
    def final(self) -> float:
        """The share of the sparse weights that goes in the end."""
        if self.pattern == "two_of_four":
            return TWO_OF_FOUR_SPARSITY
        return float(self._arm.parameters.get("sparsity", 0.0))

    @property
    def rises(self) -> bool:
        """Whether the sparsity rises during the retraining, in place of one mask before it."""
        return self._arm.parameters.get("sparsity_schedule") == "cubic"

    def permute(self) -> float:
        """Reorders channels if the arm says so; gives the magnitude that 2:4 keeps more by it."""
        if not self._arm.parameters.get("permute", False):
            return 0.0
        return permute_for_two_of_four(
            self._network,
            as_sparsifiable(self._network).channel_groups(),
            {weight.name for weight in self._weights},
            torch.Generator().manual_seed(self._seed),
            _MAX_SWAPS,
        )

    def masks(self, progress: float = 1.0) -> dict[str, Tensor]:
        """Masks of the weights as they are now, at the share `progress` of the final sparsity."""
        if self.pattern is None:
            return {}
        norms: dict[str, Tensor] = {}
        if self._criterion == "wanda":
            was_training = self._network.training
            self._network.eval()
            norms = input_norms(self._network, self._weights, self._calibration)
            self._network.train(was_training)
        # drawn anew alike every time, so that of masks that rise each lies within the one before
        generator = torch.Generator().manual_seed(self._seed + _RANDOM_MASK_SALT)
        masks = {}
        for one in self._weights:
            matrix = reduction_matrix(one.weight)
            if self._criterion == "wanda":
                scores = wanda_scores(matrix, norms[one.name])
            elif self._criterion == "random":
                scores = random_scores(matrix, generator)
            else:
                scores = magnitude_scores(matrix)
            mask = pattern_mask(self.pattern, scores, progress * self.final)
            masks[one.name] = from_reduction_matrix(mask, one.weight.shape)
        return masks

    def kept_magnitude(self, masks: dict[str, Tensor]) -> float:
        """The share of the sparse weights' magnitude, as they are now, that the masks leave."""
        magnitudes = {one.name: one.weight.detach().abs().double() for one in self._weights}
        total = sum(float(magnitude.sum()) for magnitude in magnitudes.values())
        if total == 0.0:
            return 1.0
        left = sum(float(magnitudes[name][mask].sum()) for name, mask in masks.items())
        return left / total

    def check(self) -> None:
        """Raises NotTwoOfFour if the arm is 2:4 and its network is not."""
        if self.pattern == "two_of_four":
            require_two_of_four((one.name, reduction_matrix(one.weight)) for one in self._weights)
