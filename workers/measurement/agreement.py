"""Compares an exported network's answers with torch's before anything is measured.

A runtime that computes something else quickly is worth nothing, and runtimes do: an untested one
gave 6e27 where torch gave 0.3.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._pytree import keystr, tree_flatten_with_path

from search_spaces.recipe import ArmInfeasible
from service.domain.runtimes import Precision
from workers.runtimes.runtime import Session

RELATIVE_TOLERANCE = 1e-3
"""The largest error allowed in fp32, as a share of the output's scale, its largest magnitude.

Reordered sums err by 1e-6 of it, approximated activations by 1e-4; a wrong layer by 1e-1."""

TOLERANCES: Mapping[Precision, float] = {
    "fp32": RELATIVE_TOLERANCE,
    "bf16": 0.04,
    "fp16": 0.01,
    "int8_dynamic": 0.05,
    "int8_static": 0.1,
}
"""The largest error allowed by precision, as `RELATIVE_TOLERANCE`."""

JUDGED_BY_ACCURACY = 1e6
"""The tolerance where the search space itself measures how right a quantised network still is.

Its answers then have to be finite and of torch's shapes, no more.
"""

_SMALLEST_SCALE = 1e-6  # outputs that are all but zero are held to this


class ExportDisagrees(ArmInfeasible):
    """The exported network does not answer as torch does."""


class AnswersNotFinite(ArmInfeasible):
    """The trained network itself answers NaN."""


@dataclass(frozen=True)
class Agreement:
    """How closely the answers agreed: the worst error as a share of its output's scale."""

    inputs: int
    worst_relative_error: float
    tolerance: float


def check_agreement(
    network: torch.nn.Module,
    session: Session,
    inputs: Sequence[tuple[torch.Tensor, ...]],
    tolerance: float = RELATIVE_TOLERANCE,
) -> Agreement:
    """Runs both here on every input and compares every output; see `check_answers`."""
    return check_answers(network, (session.run(one) for one in inputs), inputs, tolerance)


def check_answers(
    network: torch.nn.Module,
    answers: Iterable[Sequence[NDArray[Any]]],
    inputs: Sequence[tuple[torch.Tensor, ...]],
    tolerance: float = RELATIVE_TOLERANCE,
) -> Agreement:
    """Compares what was answered to every input, wherever, with what torch answers here.

    answers: to each input in turn, output by output.
    Floating outputs: no value may differ by more than `tolerance` times the output's largest
    finite magnitude on that input; infinities must be equal. Others must be equal.
    Raises: ExportDisagrees, naming input, output, error and tolerance; AnswersNotFinite if torch's
        own answer holds a NaN; ValueError without any input.
    """
    if not inputs:
        raise ValueError("inputs is empty; give at least one real input to compare the answers on")
    worst = 0.0
    for index, (one, given) in enumerate(zip(inputs, answers, strict=True)):
        with torch.no_grad():
            flat, _ = tree_flatten_with_path(network(*one))
        named = {
            f"output{keystr(path)}": leaf.detach().numpy()
            for path, leaf in flat
            if isinstance(leaf, torch.Tensor)
        }
        if len(given) != len(named):
            raise ExportDisagrees(
                f"torch gives {len(named)} outputs, the exported network {len(given)}; "
                "return the same tensors whatever the input"
            )
        for (name, expected), answer in zip(named.items(), given, strict=True):
            error = _relative_error(expected, answer, f"{name} on input {index}")
            if error > tolerance:
                raise ExportDisagrees(
                    f"{name} on input {index} differs from torch's by {error:.3g} of its scale, "
                    f"more than the tolerance {tolerance:.3g}; the runtime computes another "
                    "network: change the layer it gets wrong, or measure in another runtime"
                )
            worst = max(worst, error)
    return Agreement(len(inputs), worst, tolerance)


def output_forms(
    network: torch.nn.Module, inputs: tuple[torch.Tensor, ...]
) -> list[tuple[str, tuple[int, ...]]]:
    """Type and shape of each tensor that torch answers with, in the order of `check_answers`."""
    with torch.no_grad():
        flat, _ = tree_flatten_with_path(network(*inputs))
    arrays = [leaf.numpy() for _, leaf in flat if isinstance(leaf, torch.Tensor)]
    return [(array.dtype.str, array.shape) for array in arrays]


def _relative_error(expected: NDArray[Any], answer: NDArray[Any], where: str) -> float:
    if expected.shape != answer.shape or expected.dtype != answer.dtype:
        raise ExportDisagrees(
            f"{where} is {answer.dtype} of shape {answer.shape} where torch gives "
            f"{expected.dtype} of shape {expected.shape}"
        )
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0 if np.array_equal(expected, answer) else np.inf
    if np.isnan(expected).any():
        raise AnswersNotFinite(f"{where}: torch's own answer holds NaN; the network diverged")
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], answer[~finite]):
        return np.inf
    if not finite.any():
        return 0.0
    scale = max(float(np.abs(expected[finite]).max()), _SMALLEST_SCALE)
    difference = np.abs(expected[finite].astype(np.float64) - answer[finite])
    error = float(difference.max()) / scale
    return error if np.isfinite(error) else np.inf
