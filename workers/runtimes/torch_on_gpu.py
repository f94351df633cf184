"""The loading half of `torch_eager` on a GPU: the program file that the CPU's runtime exports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch.export.passes import move_to_device_pass
from torch.utils._pytree import tree_leaves

from service.domain.runtimes import RuntimeName
from workers.runtimes.quiet import quiet
from workers.runtimes.runtime import Inputs
from workers.runtimes.torch_program import load_program


class TorchOnGpu:
    """Runs the operations of a program file on a device of torch's, one after the other."""

    name: RuntimeName = "torch_eager"

    def __init__(self, device: str = "cuda") -> None:
        self._device = torch.device(device)

    def version(self) -> str:
        """Torch's and that of the CUDA that it was built for."""
        return f"{torch.__version__} CUDA {torch.version.cuda}"

    def load(self, path: Path, threads: int = 1) -> "GpuSession":  # noqa: ARG002  (of the CPU)
        """Loads `path` onto the GPU; see `Loader.load`."""
        program = load_program(self.name, path)
        with quiet():
            moved = move_to_device_pass(program, self._device)
        inputs = len(moved.graph_signature.user_inputs)
        return GpuSession(moved.module(check_guards=False).forward, inputs, self._device)


class GpuSession:
    """A function of tensors on the GPU; see `Session`. `invoke` does not wait for the GPU."""

    def __init__(self, forward: Callable[..., Any], input_count: int, device: torch.device) -> None:
        self._forward = forward
        self._input_count = input_count
        self._device = device
        self._inputs: tuple[torch.Tensor, ...] = ()
        self._answers: Any = None

    def prepare(self, inputs: Inputs) -> None:
        """Copies the inputs to the GPU, which so does not count."""
        if len(inputs) != self._input_count:
            raise ValueError(
                f"the network takes {self._input_count} inputs, {len(inputs)} were given"
            )
        self._inputs = tuple(
            torch.as_tensor(value).to(self._device).contiguous() for value in inputs
        )

    def invoke(self) -> None:
        """Gives one inference to the GPU."""
        with torch.inference_mode():
            self._answers = self._forward(*self._inputs)

    def answers(self) -> list[NDArray[Any]]:
        """See `Session.answers`; copying them waits for the GPU."""
        leaves = cast("list[torch.Tensor]", tree_leaves(self._answers))
        return [leaf.detach().cpu().clone().numpy() for leaf in leaves]

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """See `Session.run`."""
        self.prepare(inputs)
        self.invoke()
        return self.answers()
