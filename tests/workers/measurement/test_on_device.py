import subprocess
import sys


def test_what_runs_on_a_device_imports_neither_torch_nor_pydantic() -> None:
    check = (
        "import sys\n"
        "import workers.measurement.on_device, workers.measurement.peak_memory_process\n"
        "from workers.runtimes.registry import find_loader\n"
        "find_loader('onnxruntime'), find_loader('openvino')\n"
        "print(sorted({'torch', 'pydantic', 'psutil', 'onnx', 'nncf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
