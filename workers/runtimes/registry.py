"""Finds a runtime by name; importing this module imports none of them."""

import difflib
from collections.abc import Callable
from importlib.util import find_spec

from workers.runtimes.errors import RuntimeMissing, UnknownRuntime
from workers.runtimes.runtime import Runtime


def _onnxruntime() -> Runtime:
    from workers.runtimes.onnxruntime import OnnxRuntime  # noqa: PLC0415

    return OnnxRuntime()


def _executorch() -> Runtime:
    from workers.runtimes.executorch import ExecuTorch  # noqa: PLC0415

    return ExecuTorch()


_RUNTIMES: dict[str, tuple[Callable[[], Runtime], tuple[str, ...], str]] = {
    "onnxruntime": (_onnxruntime, ("onnxruntime", "onnx", "onnxscript"), "worker"),
    "executorch": (_executorch, ("executorch",), "executorch"),
}
"""By name: how to make it, the modules it needs beside torch, the extra that brings them."""

RUNTIME_NAMES = tuple(_RUNTIMES)
"""Every runtime that archfront knows, the default first."""


def find_runtime(name: str) -> Runtime:
    """The runtime called `name`.

    Raises: UnknownRuntime, with the nearest name; RuntimeMissing, with what to install.
    """
    if name not in _RUNTIMES:
        near = difflib.get_close_matches(name, _RUNTIMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_RUNTIMES)}"
        raise UnknownRuntime(f"no runtime {name!r} is known; {hint}")
    make, _, extra = _RUNTIMES[name]
    missing = _missing_modules(name)
    if missing:
        raise RuntimeMissing(
            f"the runtime {name!r} needs {', '.join(missing)}, not installed on this worker; "
            f"install it: pip install 'archfront[{extra}]'"
        )
    return make()


def installed_runtimes() -> list[str]:
    """The names of the runtimes that this worker can measure in."""
    return [name for name in _RUNTIMES if not _missing_modules(name)]


def _missing_modules(name: str) -> list[str]:
    return [module for module in _RUNTIMES[name][1] if find_spec(module) is None]
