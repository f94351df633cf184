"""Runtimes are found by name, and a missing one is met with what to install."""

import stat
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from service.domain.runtimes import DEFAULT_RUNTIME, RUNTIME_PRECISIONS, RuntimeName
from workers.runtimes import registry
from workers.runtimes.block_sparse.operator_library import operator_version
from workers.runtimes.errors import RuntimeMissing, UnknownRuntime
from workers.runtimes.litert_environment.converter import converter_version


@pytest.fixture(autouse=True)
def litert_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python that says that LiteRT's converter, which few machines have, is installed for it."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 0.10.0\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("ARCHFRONT_WORKER_LITERT_PYTHON", str(python))
    return python


def test_the_default_comes_first_and_every_one_bears_its_name() -> None:
    assert registry.RUNTIME_NAMES[0] == DEFAULT_RUNTIME
    assert [registry.find_runtime(name).name for name in registry.RUNTIME_NAMES] == list(
        registry.RUNTIME_NAMES
    )
    assert tuple(registry.installed_runtimes()) == registry.RUNTIME_NAMES


def test_experiments_may_ask_for_every_runtime_and_no_other() -> None:
    assert get_args(RuntimeName) == tuple(RUNTIME_PRECISIONS) == registry.RUNTIME_NAMES


def test_a_mistyped_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownRuntime, match="did you mean 'onnxruntime'"):
        registry.find_runtime("onnx-runtime")


@pytest.mark.parametrize(
    ("module", "runtime", "extra", "missing"),
    [
        ("executorch", "executorch", "executorch", {"executorch"}),
        ("onnxscript", "onnxruntime", "worker", {"onnxruntime", "block_sparse"}),
        ("openvino", "block_sparse", "openvino", {"openvino", "block_sparse"}),
        ("pnnx", "ncnn", "ncnn", {"ncnn"}),
        ("ai_edge_litert", "litert", "litert", {"litert"}),
    ],
)
def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, runtime: str, extra: str, missing: set[str]
) -> None:
    installed = registry.find_spec
    monkeypatch.setattr(
        registry, "find_spec", lambda name: None if name == module else installed(name)
    )
    with pytest.raises(RuntimeMissing, match=rf"{module}.*pip install 'archfront\[{extra}\]'"):
        registry.find_runtime(runtime)
    assert set(registry.RUNTIME_NAMES) - set(registry.installed_runtimes()) == missing


@pytest.mark.parametrize(
    ("compiler", "missing"),
    [("no-such-compiler", {"block_sparse", "aotinductor"}), ("false", {"block_sparse"})],
)
def test_without_a_compiler_that_works_the_runtime_is_absent(
    monkeypatch: pytest.MonkeyPatch, compiler: str, missing: set[str]
) -> None:
    operator_version.cache_clear()
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(RuntimeMissing, match=rf"{compiler}.*apt-get install g\+\+"):
        registry.find_runtime("block_sparse")
    assert set(registry.RUNTIME_NAMES) - set(registry.installed_runtimes()) == missing


def test_the_version_that_is_offered_is_the_runtimes_own() -> None:
    for name, version in registry.installed_runtimes().items():
        assert version == registry.find_runtime(name).version()


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeMissing, match=r"the C\+\+ compiler no-such-compiler, not installed"):
        registry.find_runtime("aotinductor")
    assert "aotinductor" not in registry.installed_runtimes()


def test_without_its_converter_litert_still_runs_what_was_exported_elsewhere(
    litert_converter: Path,
) -> None:
    litert_converter.unlink()
    converter_version.cache_clear()
    with pytest.raises(RuntimeMissing, match=r"python -m workers\.runtimes\.litert_environment"):
        registry.find_runtime("litert")
    assert "litert" not in registry.installed_runtimes()
    assert registry.find_loader("litert").version() == registry.loadable_runtimes()["litert"]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "ncnn", "litert"])
def test_loading_and_running_imports_no_torch(runtime: str) -> None:
    check = (
        "import sys; from workers.runtimes.registry import find_runtime; "
        f"find_runtime({runtime!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
