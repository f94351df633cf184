"""The one contract of all runtimes: export a network, load it, run it.

Importing this module imports neither torch nor any runtime.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Inputs: TypeAlias = "Sequence[torch.Tensor | NDArray[Any]]"
"""The positional inputs of one inference, on the CPU, in the order of `forward`'s arguments."""


@dataclass(frozen=True)
class ExportedNetwork:
    """A network as the runtime loads it.

    export_s: wall time from the module to the finished file.
    """

    path: Path
    size_bytes: int
    export_s: float


class Session(Protocol):
    """An exported network, loaded and ready to run; gone with its last reference."""

    def prepare(self, inputs: Inputs) -> None:
        """Binds `inputs`, whose shapes and types are those of the export, for `invoke`."""
        ...

    def invoke(self) -> None:
        """One inference on the inputs bound last, with as little around it as can be."""
        ...

    def answers(self) -> list[NDArray[Any]]:
        """Copies of what the last `invoke` gave: the module's tensors, flattened, in order."""
        ...

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """`prepare`, `invoke` and `answers` in one."""
        ...


class Runtime(Protocol):
    """A way to deploy a network. All are held to tests/workers/runtimes/test_every_runtime.py."""

    @property
    def name(self) -> str:
        """As in `MeasurementSettings.runtime`."""
        ...

    def version(self) -> str:
        """The installed version; another version is another device as far as latency goes."""
        ...

    def export(
        self, network: "torch.nn.Module", example: "tuple[torch.Tensor, ...]", folder: Path
    ) -> ExportedNetwork:
        """Writes `network`, fixed to the shapes of `example`, as one file into `folder`.

        Importing the exporter does not count into `export_s`.
        Raises: ExportFailed if the network cannot be expressed in this runtime;
            RuntimeMissing if a package is not installed.
        """
        ...

    def load(self, path: Path, threads: int = 1) -> Session:
        """Loads an exported network; with one thread it computes in the calling thread alone.

        Raises: LoadFailed if the runtime refuses the file; OSError if it cannot be read.
        """
        ...
