import subprocess
import sys

import pytest

from search_spaces.registry import Registry
from tests.workers.stranger_package.tiny_search_space import spaces
from workers import registration as module
from workers.registration import installed_runtimes, machine_device, registration
from workers.settings import read_worker_settings


def test_two_workers_on_one_machine_share_its_device():
    registry = Registry(spaces())
    one = registration("one", read_worker_settings(), registry)
    other = registration("other", read_worker_settings(), registry)
    assert one.device == other.device == machine_device()
    assert registration("one", read_worker_settings(device="pi-4"), registry).device == "pi-4"


def test_it_says_what_it_can_do():
    made = registration("one", read_worker_settings(slots=2, labels={"a": "b"}), Registry(spaces()))
    assert [(space.name, space.version) for space in made.search_spaces] == [("tiny", 1)]
    assert "onnxruntime" in made.runtimes
    assert made.targets == ("this-host",)
    assert made.slots == 2
    assert made.labels == {"a": "b"}
    assert made.profile["cores"] >= 1
    assert made.profile["packages"]["torch"]


def test_without_torch_it_offers_nothing(monkeypatch):
    monkeypatch.setattr(module, "package_versions", dict)
    made = registration("one", read_worker_settings(), Registry(spaces()))
    assert made.search_spaces == ()
    assert made.runtimes == ()


def test_a_runtime_needs_all_its_packages(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnx" else object())
    assert installed_runtimes() == ("executorch",)


def test_the_machines_id_does_not_leave_it(monkeypatch, tmp_path):
    path = tmp_path / "machine-id"
    path.write_text("0123456789abcdef\n")
    monkeypatch.setattr(module, "_MACHINE_ID_FILES", (str(path),))
    monkeypatch.setattr("platform.node", lambda: "box")
    device = machine_device()
    assert device.startswith("box-")
    assert "0123456789abcdef" not in device
    path.write_text("another")
    assert machine_device() != device
    path.write_text("")
    assert machine_device() == "box"


@pytest.mark.parametrize("imported", ["workers.daemon", "workers.registration"])
def test_the_worker_itself_stays_light(imported):
    heavy = {"torch", "sqlalchemy", "fastapi", "ax", "botorch", "onnxruntime", "executorch"}
    script = (
        f"import sys, {imported}\n"
        "from search_spaces.registry import installed_registry\n"
        "from workers.registration import registration\n"
        "from workers.settings import read_worker_settings\n"
        "made = registration('w', read_worker_settings(), installed_registry())\n"
        f"print(sorted({heavy!r} & set(sys.modules)), len(made.search_spaces))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("[]"), run.stdout
    assert int(run.stdout.split()[-1]) >= 1
