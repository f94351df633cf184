"""Runtimes are found by name, and a missing one is met with what to install."""

import subprocess
import sys

import pytest

from workers.runtimes import registry
from workers.runtimes.errors import RuntimeMissing, UnknownRuntime


def test_the_default_comes_first_and_every_one_bears_its_name() -> None:
    assert registry.RUNTIME_NAMES[0] == "onnxruntime"
    assert [registry.find_runtime(name).name for name in registry.RUNTIME_NAMES] == list(
        registry.RUNTIME_NAMES
    )
    assert registry.installed_runtimes() == list(registry.RUNTIME_NAMES)


def test_a_mistyped_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownRuntime, match="did you mean 'onnxruntime'"):
        registry.find_runtime("onnx-runtime")


@pytest.mark.parametrize(
    ("module", "runtime", "extra"),
    [("executorch", "executorch", "executorch"), ("onnxscript", "onnxruntime", "worker")],
)
def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, runtime: str, extra: str
) -> None:
    installed = registry.find_spec
    monkeypatch.setattr(
        registry, "find_spec", lambda name: None if name == module else installed(name)
    )
    with pytest.raises(RuntimeMissing, match=rf"{module}.*pip install 'archfront\[{extra}\]'"):
        registry.find_runtime(runtime)
    assert runtime not in registry.installed_runtimes()
    assert len(registry.installed_runtimes()) == len(registry.RUNTIME_NAMES) - 1


def test_loading_and_running_onnx_imports_no_torch() -> None:
    check = (
        "import sys; from workers.runtimes.registry import find_runtime; "
        "find_runtime('onnxruntime'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
