"""What torch's own runtimes share: program files (`.pt2`), their precisions, their sessions.

A program runs without the code that the network was written in.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch.utils._pytree import tree_leaves, tree_map_only

from service.domain.runtimes import Precision
from workers.runtimes.errors import LoadFailed
from workers.runtimes.quiet import quiet
from workers.runtimes.runtime import Inputs


class _Bfloat16(torch.nn.Module):
    """Computes in bf16 what `network` does, between inputs and outputs of fp32."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).to(torch.bfloat16)

    def forward(self, *inputs: torch.Tensor) -> Any:
        """As the network's; ids, masks and their kin stay as they are."""
        answers = self.network(*(_converted(one, torch.bfloat16) for one in inputs))
        return tree_map_only(torch.Tensor, lambda one: _converted(one, torch.float32), answers)


def _converted(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def export_program(
    network: torch.nn.Module, example: tuple[torch.Tensor, ...], precision: Precision
) -> torch.export.ExportedProgram:
    """The program that computes `network` in "fp32" or "bf16"; `network` is left as it was."""
    computed = network if precision == "fp32" else _Bfloat16(network).eval()
    return torch.export.export(computed, example, strict=False)


def load_program(runtime: str, path: Path) -> torch.export.ExportedProgram:
    """The program in the file at `path`. Raises: LoadFailed; OSError if it cannot be read."""
    path.stat()
    try:
        with quiet():
            return torch.export.load(path)
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise LoadFailed(f"{runtime} refuses {path.name}: {error}") from error


def use_threads(threads: int) -> None:
    """Sets the threads of every torch session of this process."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


class TorchSession:
    """A function of torch's tensors, ready to run; see `Session`."""

    def __init__(self, forward: Callable[..., Any], input_count: int) -> None:
        self._forward = forward
        self._input_count = input_count
        self._inputs: tuple[torch.Tensor, ...] = ()
        self._answers: Any = None

    def prepare(self, inputs: Inputs) -> None:
        """Keeps the inputs as tensors."""
        if len(inputs) != self._input_count:
            raise ValueError(
                f"the network takes {self._input_count} inputs, {len(inputs)} were given"
            )
        self._inputs = tuple(torch.as_tensor(value).contiguous() for value in inputs)

    def invoke(self) -> None:
        """One inference; see `Session.invoke`."""
        with torch.inference_mode():
            self._answers = self._forward(*self._inputs)

    def answers(self) -> list[NDArray[Any]]:
        """See `Session.answers`."""
        leaves = cast("list[torch.Tensor]", tree_leaves(self._answers))
        return [leaf.detach().clone().numpy() for leaf in leaves]

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """See `Session.run`."""
        self.prepare(inputs)
        self.invoke()
        return self.answers()
