"""ncnn on the CPU, the runtime of many a phone.

Loading and running imports no torch.
"""

import json
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import ncnn
import numpy as np
from numpy.typing import NDArray

from service.domain.runtimes import Precision, RuntimeName
from workers.runtimes.errors import LoadFailed
from workers.runtimes.exporting import exporting
from workers.runtimes.packing import Damaged, pack, unpacked
from workers.runtimes.runtime import ExportedNetwork, Inputs

if TYPE_CHECKING:
    import torch

GRAPH_FILE, WEIGHTS_FILE, LAYOUT_FILE = "network.ncnn.param", "network.ncnn.bin", "layout.json"

Layout: TypeAlias = dict[str, Any]
"""How the network's tensors lie in ncnn's, as JSON.

inputs: of each of the network's, its forms: {"blob", "form" (see `ncnn_forms`), "batch"}.
outputs: {"blob", "batch", "shape", "dtype"} of each.
batch: the dimension that ncnn keeps apart; 233 for none.
"""


class Ncnn:
    """Tencent's runtime."""

    name: RuntimeName = "ncnn"

    def version(self) -> str:
        """As the distribution's metadata tells."""
        return version("ncnn")

    def export(
        self,
        network: "torch.nn.Module",
        example: "tuple[torch.Tensor, ...]",
        folder: Path,
        precision: Precision = "fp32",
        calibration_inputs: "Sequence[tuple[torch.Tensor, ...]]" = (),
    ) -> ExportedNetwork:
        """Writes `network.ncnn.zip`: graph, weights, and how inputs and outputs lie.

        fp16: the weights are kept in it, in half the space. ncnn computes in it where it has
            kernels for that (by its sources 64-bit ARM, not tried); on x86 in fp32, and gains no
            time.
        """
        import torch  # noqa: PLC0415

        from workers.runtimes.ncnn_conversion import convert  # noqa: PLC0415

        path = folder / "network.ncnn.zip"
        with exporting(self.name, precision, calibration_inputs):
            start = time.perf_counter()
            # A trace freezes branches that depend on the data, which torch.export refuses.
            torch.export.export(network, example, strict=False)
            convert(network, example, folder, precision)
            pack(path, folder, (GRAPH_FILE, WEIGHTS_FILE, LAYOUT_FILE))
            export_s = time.perf_counter() - start
            self.load(path).run(example)  # a graph of layers that ncnn knows may yet not fit
        return ExportedNetwork(path, path.stat().st_size, export_s)

    def load(self, path: Path, threads: int = 1) -> "NcnnSession":
        """Loads `path`; see `Runtime.load`."""
        net = ncnn.Net()
        net.opt.num_threads = threads
        net.opt.use_vulkan_compute = False
        try:
            with unpacked(path) as folder:
                layout = json.loads((folder / LAYOUT_FILE).read_text())
                half = layout["precision"] == "fp16"
                net.opt.use_fp16_packed = half
                net.opt.use_fp16_storage = half
                net.opt.use_fp16_arithmetic = half
                # they answer 0 when all is well, and print what is not
                graph = net.load_param(str(folder / GRAPH_FILE))
                weights = net.load_model(str(folder / WEIGHTS_FILE))
        except (Damaged, FileNotFoundError, ValueError, KeyError) as error:
            path.stat()  # a file that is not there is not the network's fault: OSError
            raise LoadFailed(f"ncnn refuses {path.name}: {error}") from error
        if graph != 0 or weights != 0:
            raise LoadFailed(f"ncnn refuses {path.name}: its graph or weights are not whole")
        return NcnnSession(net, layout)


class NcnnSession:
    """A loaded ncnn network; see `Session`."""

    def __init__(self, net: ncnn.Net, layout: Layout) -> None:
        self._net = net
        self._layout = layout
        self._inputs: list[tuple[str, ncnn.Mat]] = []
        self._outputs: list[ncnn.Mat] = []

    def prepare(self, inputs: Inputs) -> None:
        """Copies the inputs into ncnn's memory, in its forms."""
        expected = self._layout["inputs"]
        if len(expected) != len(inputs):
            raise ValueError(f"the network takes {len(expected)} inputs, {len(inputs)} were given")
        self._inputs = [
            (form["blob"], _to_mat(np.asarray(value), form["form"], form["batch"]))
            for forms, value in zip(expected, inputs, strict=True)
            for form in forms
        ]

    def invoke(self) -> None:
        """One inference; see `Session.invoke`.

        ncnn computes what is asked for and no more, once for each extractor: so all is asked for.
        """
        extractor = self._net.create_extractor()
        for blob, mat in self._inputs:
            extractor.input(blob, mat)
        self._outputs = [extractor.extract(one["blob"])[1] for one in self._layout["outputs"]]

    def answers(self) -> list[NDArray[Any]]:
        """See `Session.answers`."""
        return [
            _to_array(mat, one)
            for mat, one in zip(self._outputs, self._layout["outputs"], strict=True)
        ]

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """See `Session.run`."""
        self.prepare(inputs)
        self.invoke()
        return self.answers()


def _to_mat(array: NDArray[Any], form: str, batch: int) -> ncnn.Mat:
    if form == "ids":
        given = np.ascontiguousarray(array, dtype=np.int32).reshape(1, -1)
    else:
        given = np.ascontiguousarray(array, dtype=np.float32)
    return ncnn.Mat(given, batch_index=batch).clone()  # else it is a view of what Python may free


def _to_array(mat: ncnn.Mat, described: dict[str, Any]) -> NDArray[Any]:
    array = np.array(mat.numpy(batch_index=described["batch"]))
    if described["dtype"].startswith("int"):
        array = np.rint(array)
    return array.reshape(described["shape"]).astype(described["dtype"])
