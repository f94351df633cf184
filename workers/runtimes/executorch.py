"""ExecuTorch on the CPU, with the XNNPACK backend for all that it can take.

What XNNPACK cannot take (embedding lookups, layer norms, comparisons of integers) runs in
ExecuTorch's own portable and optimised kernels.
"""

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.errors import LoadFailed
from workers.runtimes.exporting import exporting
from workers.runtimes.quiet import quiet
from workers.runtimes.runtime import ExportedNetwork, Inputs

try:
    # The bindings proper: the documented way to them imports the whole exporter (2 s, 400 MB),
    # which a process that only runs a network does without.
    from executorch.extension.pybindings import _C as bindings  # noqa: N811
except ImportError:  # named otherwise before ExecuTorch 1.5
    with quiet():
        from executorch.extension.pybindings import portable_lib as bindings

if TYPE_CHECKING:
    from executorch.extension.pybindings.portable_lib import ExecuTorchMethod, ExecuTorchProgram


class ExecuTorch:
    """The runtime of phones and wearables."""

    name: RuntimeName = "executorch"

    def version(self) -> str:
        """As the distribution's metadata tells."""
        return version("executorch")

    def export(
        self,
        network: torch.nn.Module,
        example: tuple[torch.Tensor, ...],
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: Sequence[tuple[torch.Tensor, ...]] = (),
    ) -> ExportedNetwork:
        """Writes `network.pte`; see `Runtime.export`."""
        with quiet():
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import (  # noqa: PLC0415
                XnnpackPartitioner,
            )
            from executorch.exir import to_edge_transform_and_lower  # noqa: PLC0415

        path = folder / "network.pte"
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            program = torch.export.export(network, example, strict=False)
            edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
            path.write_bytes(edge.to_executorch().buffer)
            export_s = time.perf_counter() - start
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> "ExecuTorchSession":
        """Loads `path`; `threads` holds for every ExecuTorch session of this process."""
        path.stat()  # a file that is not there is not the network's fault: OSError
        if bindings._threadpool_get_thread_count() != threads:  # noqa: SLF001  (no public way)
            bindings._unsafe_reset_threadpool(threads)  # noqa: SLF001
        try:
            program = bindings._load_program(str(path))  # noqa: SLF001
            method = program.load_method("forward")
        except RuntimeError as error:
            raise LoadFailed(f"executorch refuses {path.name}: {error}") from error
        return ExecuTorchSession(program, method)


class ExecuTorchSession:
    """A loaded `.pte` network; see `Session`."""

    def __init__(self, program: "ExecuTorchProgram", method: "ExecuTorchMethod") -> None:
        self._program = program  # the method lives in its memory
        self._method = method
        self._inputs: tuple[torch.Tensor, ...] = ()
        self._outputs: list[Any] = []

    def prepare(self, inputs: Inputs) -> None:
        """Keeps the inputs; see `invoke`."""
        expected = self._method.method_meta().num_inputs()
        if expected != len(inputs):
            raise ValueError(f"the network takes {expected} inputs, {len(inputs)} were given")
        self._inputs = tuple(torch.as_tensor(value).contiguous() for value in inputs)

    def invoke(self) -> None:
        """One inference; see `Session.invoke`.

        The inputs are handed over each time: the memory plan lets later layers overwrite them.
        """
        self._outputs = self._method(self._inputs, clone_outputs=False)

    def answers(self) -> list[NDArray[Any]]:
        """See `Session.answers`."""
        return [output.detach().clone().numpy() for output in self._outputs]

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """See `Session.run`."""
        self.prepare(inputs)
        self.invoke()
        return self.answers()
