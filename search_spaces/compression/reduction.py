"""Weights as the matrices that a multiplication reduces over: outputs x reduction.

[Mishra2021] Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv 2104.08378, whose 2:4
    pattern lies along the reduction axis of each layer's matrix multiplication.

Shape legend: O outputs, I input channels (of a grouped convolution: of one group), K and L
kernel positions.
"""

from collections.abc import Sequence

from torch import Tensor


def reduction_matrix(weight: Tensor) -> Tensor:
    """The weight as O x (positions * I), the input channel running fastest.

    weight: O x I of a linear layer; 4*hidden x I of an LSTM; O x I x K or O x I x K x L of a
        convolution.
    A convolution's sums run over kernel positions and channels, in any order that its input
    shares. Sparse tensor cores multiply tensors that lie in memory with channels last, so that
    four consecutive channels of one position are a group; and a permutation of channels then
    moves whole columns, alike at every position.
    Raises: ValueError for a vector.
    """
    if weight.ndim < 2:
        raise ValueError(f"a weight of shape {tuple(weight.shape)} is no matrix")
    return weight.movedim(1, -1).reshape(weight.shape[0], -1)


def from_reduction_matrix(matrix: Tensor, shape: Sequence[int]) -> Tensor:
    """The weight of this shape whose `reduction_matrix` is `matrix`."""
    outputs, channels, *kernel = shape
    return matrix.reshape(outputs, *kernel, channels).movedim(-1, 1).contiguous()
