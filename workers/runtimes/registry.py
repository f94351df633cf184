"""Finds a runtime by name; importing this module imports none of them, and no torch."""

import difflib
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pkgutil import resolve_name

from workers.runtimes.errors import RuntimeMissing, UnknownRuntime
from workers.runtimes.runtime import Loader, Runtime


@dataclass(frozen=True)
class _Entry:
    """Where a runtime is, what it needs beside torch, and the extra that brings it.

    implementation: `module:class`, as entry points are written.
    modules: importable once the extra is installed.
    to_load: those of them that suffice where networks are only run; None where what is exported
        here runs on no other machine.
    version: where that is not the version of the distribution of the same name; raises
        RuntimeMissing if the runtime cannot be made here for want of anything else.
    to_export: what exporting needs beside modules of this environment; raises RuntimeMissing.
    """

    implementation: str
    modules: tuple[str, ...]
    extra: str
    to_load: tuple[str, ...] | None
    version: Callable[[], str] | None = None
    to_export: Callable[[], object] | None = None

    def missing(self) -> list[str]:
        return _absent(self.modules)


def _absent(modules: Iterable[str]) -> list[str]:
    return [module for module in modules if find_spec(module) is None]


def _block_sparse_version() -> str:
    from workers.runtimes.block_sparse.operator_library import operator_version  # noqa: PLC0415

    return operator_version()


def _litert_converter() -> object:
    from workers.runtimes.litert_environment.converter import converter_python  # noqa: PLC0415

    return converter_python()


def _aotinductor_version() -> str:
    compiler = os.environ.get("CXX", "g++")  # as torch looks for it
    if not shutil.which(compiler):
        raise RuntimeMissing(
            f"the runtime 'aotinductor' needs the C++ compiler {compiler}, not installed on this "
            "worker; install it, or name another one in CXX"
        )
    return version("torch")


_RUNTIMES = {
    "onnxruntime": _Entry(
        "workers.runtimes.onnxruntime:OnnxRuntime",
        ("onnxruntime", "onnx", "onnxscript"),
        "worker",
        ("onnxruntime",),
    ),
    "openvino": _Entry(
        "workers.runtimes.openvino:OpenVino", ("openvino", "nncf"), "openvino", ("openvino",)
    ),
    "executorch": _Entry(
        "workers.runtimes.executorch:ExecuTorch",
        ("executorch",),
        "executorch",
        ("executorch", "torch"),
    ),
    "ncnn": _Entry("workers.runtimes.ncnn:Ncnn", ("ncnn", "pnnx"), "ncnn", ("ncnn",)),
    "litert": _Entry(
        "workers.runtimes.litert:LiteRt",
        ("ai_edge_litert",),
        "litert",
        ("ai_edge_litert",),
        lambda: version("ai-edge-litert"),
        _litert_converter,
    ),
    "torch_eager": _Entry(
        "workers.runtimes.torch_eager:TorchEager",
        (),
        "worker",
        ("torch",),
        lambda: version("torch"),
    ),
    "torch_csr": _Entry(
        "workers.runtimes.torch_csr:TorchCsr", (), "worker", ("torch",), lambda: version("torch")
    ),
    "aotinductor": _Entry(
        "workers.runtimes.aotinductor:AotInductor", (), "worker", None, _aotinductor_version
    ),
    "block_sparse": _Entry(
        "workers.runtimes.block_sparse.runtime:BlockSparse",
        ("openvino", "onnx", "onnxscript"),
        "openvino",
        None,
        _block_sparse_version,
    ),
}

RUNTIME_NAMES = tuple(_RUNTIMES)
"""Every runtime that archfront knows, the default first: those of `MeasurementSettings.runtime`."""

CARRIED_RUNTIMES = tuple(name for name, entry in _RUNTIMES.items() if entry.to_load is not None)
"""Those whose exported networks also run on machines other than the one that exported them."""


def find_runtime(name: str) -> Runtime:
    """The runtime called `name`.

    Raises: UnknownRuntime, with the nearest name; RuntimeMissing, with what to install.
    """
    entry = _entry(name)
    if missing := entry.missing():
        raise RuntimeMissing(
            f"the runtime {name!r} needs {', '.join(missing)}, not installed on this worker; "
            f"install it: pip install 'archfront[{entry.extra}]'"
        )
    if entry.version is not None:
        entry.version()
    if entry.to_export is not None:
        entry.to_export()
    runtime: Runtime = resolve_name(entry.implementation)()
    return runtime


def installed_runtimes() -> dict[str, str]:
    """The versions of the runtimes that this worker can measure in, by name."""
    versions = {}
    for name, entry in _RUNTIMES.items():
        if entry.missing():
            continue
        try:
            if entry.to_export is not None:
                entry.to_export()
            versions[name] = entry.version() if entry.version else version(name)
        except RuntimeMissing:
            continue
    return versions


def find_loader(name: str) -> Loader:
    """The half of the runtime called `name` that loads and runs networks.

    For devices: what only the export needs may be absent.
    Raises: UnknownRuntime; RuntimeMissing.
    """
    entry = _entry(name)
    if missing := _absent(entry.to_load or ()):
        raise RuntimeMissing(
            f"the runtime {name!r} needs {', '.join(missing)}, not installed in the Python of "
            "this device; install it there"
        )
    if entry.to_load is None:
        return find_runtime(name)
    loader: Loader = resolve_name(entry.implementation)()
    return loader


def loadable_runtimes() -> dict[str, str]:
    """The versions of the runtimes that networks exported elsewhere can be run in here."""
    return {
        name: entry.version() if entry.version else version(name)
        for name, entry in _RUNTIMES.items()
        if entry.to_load is not None and not _absent(entry.to_load)
    }


def carried_modules() -> tuple[str, ...]:
    """The modules that `find_loader` imports where nothing else of ours is installed."""
    return tuple(_RUNTIMES[name].implementation.partition(":")[0] for name in CARRIED_RUNTIMES)


def _entry(name: str) -> _Entry:
    if name not in _RUNTIMES:
        near = difflib.get_close_matches(name, _RUNTIMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_RUNTIMES)}"
        raise UnknownRuntime(f"no runtime {name!r} is known; {hint}")
    return _RUNTIMES[name]
