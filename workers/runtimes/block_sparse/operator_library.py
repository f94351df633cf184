"""Compiles the operation for this processor, once, and finds it again.

A compiler is needed because no one binary serves every processor well. The operation is OpenVINO's
because OpenVINO's package brings the headers that operations are written against: ONNX Runtime's
brings none, nor does any package that could be named as a dependency.

Importing this module does not import OpenVINO.
"""

import functools
import hashlib
import os
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from workers.runtimes.errors import RuntimeMissing
from workers.settings import read_worker_settings

_FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC")
_SOURCES = tuple(Path(__file__).with_name(f"block_sparse{suffix}") for suffix in (".cpp", ".h"))
_TOLD_LENGTH = 600


@functools.cache
def operator_version() -> str:
    """OpenVINO's version, and a digest of sources, compiler, flags and processor's features.

    Raises: RuntimeMissing if there is no compiler that works.
    """
    installed = version("openvino")
    digest = hashlib.sha256(installed.encode())
    for source in _SOURCES:
        digest.update(source.read_bytes())
    # The macros that a compiler defines name it, its version and every feature that it may use.
    digest.update(_compile(*_FLAGS, "-dM", "-E", "-x", "c++", os.devnull))
    return f"{installed}+{digest.hexdigest()[:12]}"


def operator_library(cache_folder: Path | None = None) -> Path:
    """The shared library, out of the cache or compiled now (some 5 s).

    cache_folder: by default the worker's. Processors of different kinds and processes that
        compile at the same time may share it: a library is there under the name of its version,
        whole or not at all.
    Raises: RuntimeMissing, with what the compiler says; OSError if the folder cannot be written.
    """
    folder = (cache_folder or read_worker_settings().cache_folder) / "block_sparse"
    path = folder / f"{operator_version()}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        package = _package("openvino")
        libraries = [
            next((package / "libs").glob(f"lib{name}.*"))
            for name in ("openvino", "openvino_onnx_frontend")
        ]
        with tempfile.TemporaryDirectory(dir=folder, prefix=".compiling-") as making:
            made = Path(making) / path.name
            include = f"-I{package / 'include'}"
            _compile(*_FLAGS, include, str(_SOURCES[0]), "-o", str(made), *map(str, libraries))
            made.replace(path)
    return path


def _package(name: str) -> Path:
    found = find_spec(name)
    assert found is not None  # noqa: S101  (its version is known)
    assert found.origin is not None  # noqa: S101
    return Path(found.origin).parent


def compiler() -> str:
    """The command, as CXX names it or by its usual name."""
    return os.environ.get("CXX") or "c++"


def _compile(*arguments: str) -> bytes:
    try:
        done = subprocess.run([compiler(), *arguments], capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError:
        told = f"there is no {compiler()} on this machine"
    else:
        if done.returncode == 0:
            return done.stdout
        said = " ".join(done.stderr.decode(errors="replace").split())[:_TOLD_LENGTH]
        told = f"{compiler()} says: {said}"
    raise RuntimeMissing(
        f"the runtime 'block_sparse' could not be compiled on this worker: {told}; install a C++17 "
        "compiler (Debian: apt-get install g++), or name yours in CXX"
    )
