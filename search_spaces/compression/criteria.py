"""What makes a single weight worth keeping: its magnitude, what it is multiplied with, or chance.

[Han2015] Han et al., Learning both Weights and Connections, NeurIPS 2015, arXiv 1506.02626.
[Sun2024] Sun et al., A Simple and Effective Pruning Approach for Large Language Models (Wanda),
    ICLR 2024, arXiv 2306.11695, equation 1.
"""

from typing import Literal

import torch
from torch import Tensor

Criterion = Literal["magnitude", "wanda", "random"]


def magnitude_scores(matrix: Tensor) -> Tensor:
    """|w| of each weight, in the matrix's shape [Han2015]."""
    return matrix.detach().abs()


def wanda_scores(matrix: Tensor, input_norms: Tensor) -> Tensor:
    """|w| times the norm of the input that it multiplies [Sun2024].

    matrix: outputs x (positions * channels), as `reduction_matrix` gives it.
    input_norms: channels, as `input_norms` gives them; the same at every kernel position.
    Wanda compares within an output's row, which groups of four do too. Free masks and blocks here
    compare over the whole layer.
    """
    positions = matrix.shape[1] // len(input_norms)
    if positions * len(input_norms) != matrix.shape[1]:
        raise ValueError(
            f"{len(input_norms)} channels do not make up a reduction of {matrix.shape[1]}"
        )
    return matrix.detach().abs() * input_norms.repeat(positions)


def random_scores(matrix: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform in [0, 1) and blind to the weights: the control of every other criterion."""
    return torch.rand(matrix.shape, generator=generator)
