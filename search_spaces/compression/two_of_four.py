"""Whether a weight is exactly 2:4, and its packed form: the values that stay and their places.

[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378, figure 2:
    of every four values two, each with two bits that tell where it stood.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from search_spaces.compression.masks import two_of_four_mask


class NotTwoOfFour(ValueError):
    """A weight has more than two values other than zero among four consecutive ones."""


def is_two_of_four(matrix: Tensor) -> bool:
    """Whether at most two of every four consecutive values along the last axis are not zero."""
    if matrix.shape[-1] % 4:
        return False
    return bool(((matrix.detach().reshape(-1, 4) != 0).sum(dim=1) <= 2).all())


def require_two_of_four(matrices: Iterable[tuple[str, Tensor]]) -> None:
    """Raises NotTwoOfFour for the first that is not; to be called before a network is exported.

    matrices: names and outputs x reduction (`reduction_matrix`), last axis divisible by 4.
    """
    for name, matrix in matrices:
        if not is_two_of_four(matrix):
            raise NotTwoOfFour(f"{name} is not 2:4 along its last axis of {matrix.shape[-1]}")


@dataclass(frozen=True)
class PackedTwoOfFour:
    """A 2:4 matrix without its zeros.

    values: rows x columns/2, in their order.
    places: uint8, two groups of four to a byte, the first in the low half; of each group the
        place of the first value in the two low bits, that of the second in the two high ones.
    The fields are the paper's; sparse tensor cores read them in a layout of their own.
    """

    values: Tensor
    places: Tensor

    @property
    def size_bytes(self) -> int:
        """Of values and places together."""
        return self.values.numel() * self.values.element_size() + self.places.numel()


def pack(matrix: Tensor) -> PackedTwoOfFour:
    """The packed form of a matrix, rows x columns.

    Raises: NotTwoOfFour.
    """
    require_two_of_four([("the matrix", matrix)])
    groups = matrix.detach().reshape(-1, 4)
    # where fewer than two values are not zero, zeros fill up
    places = two_of_four_mask(groups).nonzero()[:, 1].view(-1, 2)
    values = groups.gather(1, places).view(matrix.shape[0], -1)
    halves = places[:, 0] + 4 * places[:, 1]
    if len(halves) % 2:
        halves = torch.cat([halves, halves.new_zeros(1)])
    return PackedTwoOfFour(values, (halves[0::2] + 16 * halves[1::2]).to(torch.uint8))


def unpack(packed: PackedTwoOfFour) -> Tensor:
    """The matrix with its zeros, rows x columns."""
    rows = packed.values.shape[0]
    values = packed.values.reshape(-1, 2)
    halves = torch.stack([packed.places % 16, packed.places // 16], dim=1).flatten()[: len(values)]
    places = torch.stack([halves % 4, halves // 4], dim=1).long()
    groups = values.new_zeros(len(values), 4)
    return groups.scatter_(1, places, values).view(rows, -1)
