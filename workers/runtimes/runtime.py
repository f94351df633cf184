"""The one contract of all runtimes: export a network, load it, run it.

Exporting needs torch and is done on a worker; loading and running is all that a device does.

Importing this module imports no torch, no numpy and no runtime.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from service.domain.runtimes import Precision, RuntimeName

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

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

    def answers(self) -> "list[NDArray[Any]]":
        """Copies of what the last `invoke` gave: the module's tensors, flattened, in order."""
        ...

    def run(self, inputs: Inputs) -> "list[NDArray[Any]]":
        """`prepare`, `invoke` and `answers` in one."""
        ...


class Loader(Protocol):
    """The half of a runtime that a device needs."""

    @property
    def name(self) -> RuntimeName:
        """As in `MeasurementSettings.runtime`; `RUNTIME_PRECISIONS` tells its precisions."""
        ...

    def version(self) -> str:
        """The installed version; another version is another device as far as latency goes."""
        ...

    def load(self, path: Path, threads: int = 1) -> Session:
        """Loads an exported network; with one thread it computes in the calling thread alone.

        Raises: LoadFailed if the runtime refuses the file; OSError if it cannot be read;
            PrecisionMissing if this processor does not compute in the file's precision.
        """
        ...


class Runtime(Loader, Protocol):
    """A way to deploy a network. All are held to tests/workers/runtimes/test_every_runtime.py."""

    def export(
        self,
        network: "torch.nn.Module",
        example: "tuple[torch.Tensor, ...]",
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: "Sequence[tuple[torch.Tensor, ...]]" = (),
    ) -> ExportedNetwork:
        """Writes `network`, fixed to the shapes of `example`, as one file into `folder`.

        Inputs and outputs keep the network's own types whatever the precision.
        calibration_inputs: real ones of the same shapes, from which "int8_static" takes the
            ranges of activations; no other precision looks at them.
        Importing the exporter does not count into `export_s`; calibrating does.
        Raises: ExportFailed if the network cannot be expressed in this runtime;
            PrecisionMissing if the runtime does not compute in `precision`;
            ValueError for "int8_static" without inputs to calibrate on.
        """
        ...
