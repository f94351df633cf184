"""AOTInductor: torch's compiler, ahead of time, to machine code of the host that exports.

Needs a C++ compiler to export, and none to run.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import treespec_loads

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.errors import LoadFailed
from workers.runtimes.exporting import exporting
from workers.runtimes.quiet import quiet
from workers.runtimes.runtime import ExportedNetwork
from workers.runtimes.torch_program import TorchSession, export_program, use_threads


class AotInductor:
    """Torch's compiler; the file runs on processors like this host's alone."""

    name: RuntimeName = "aotinductor"

    def version(self) -> str:
        """As `torch.__version__`."""
        return str(torch.__version__)

    def export(
        self,
        network: torch.nn.Module,
        example: tuple[torch.Tensor, ...],
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: Sequence[tuple[torch.Tensor, ...]] = (),
    ) -> ExportedNetwork:
        """Writes `network.pt2`, a shared library with the weights in it; see `Runtime.export`."""
        with quiet():
            import torch._inductor.config  # noqa: PLC0415

        path = folder / "network.pt2"
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            torch._inductor.aoti_compile_and_package(  # noqa: SLF001  (the documented name)
                export_program(network, example, precision),
                package_path=str(path),
                # else the threads of the export would be built in
                inductor_configs={"cpp.dynamic_threads": True},
            )
            export_s = time.perf_counter() - start
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> TorchSession:
        """Loads `path`; `threads` holds for every torch session of this process."""
        path.stat()
        try:
            with quiet():
                loaded: Any = torch._inductor.aoti_load_package(str(path))  # noqa: SLF001
                inputs = treespec_loads(loaded.loader.get_call_spec()[0]).num_leaves
        except (MemoryError, OSError):
            raise
        except Exception as error:
            raise LoadFailed(f"aotinductor refuses {path.name}: {error}") from error
        use_threads(threads)
        return TorchSession(loaded, inputs)
