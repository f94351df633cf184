import logging
import subprocess
import sys
from importlib.metadata import version

import pytest

from search_spaces.registry import InstalledSpace, Registry
from tests.workers.stranger_package.tiny_search_space import spaces
from workers import registration as module
from workers.engines.engine import Offer
from workers.measurement.device_profile import profile_this_host
from workers.registration import machine_device, registration, trainable_spaces
from workers.runtimes.registry import RUNTIME_NAMES
from workers.settings import read_worker_settings

NOTHING = Offer(resources={}, labels={})


def test_two_workers_on_one_machine_share_its_device():
    registry = Registry(spaces())
    one = registration("one", read_worker_settings(), registry, NOTHING)
    other = registration("other", read_worker_settings(), registry, NOTHING)
    assert one.device == other.device == machine_device()
    assert (
        registration("one", read_worker_settings(device="pi-4"), registry, NOTHING).device == "pi-4"
    )


def test_it_says_what_it_can_do():
    made = registration(
        "one", read_worker_settings(slots=2, labels={"a": "b"}), Registry(spaces()), NOTHING
    )
    assert [(space.name, space.version) for space in made.search_spaces] == [("tiny", 1)]
    (target,) = made.targets
    assert (target.name, target.device) == ("this-host", made.device)
    assert target.runtimes["onnxruntime"] == version("onnxruntime")
    assert target.profile == profile_this_host()
    assert made.slots == 2
    assert made.labels == {"a": "b"}
    assert made.profile["cores"] >= 1
    assert made.profile["packages"]["torch"]


def test_it_may_be_measured_on_under_several_names():
    settings = read_worker_settings(targets=["this-host", "pixel9-cpu4"])
    made = registration("one", settings, Registry(spaces()), NOTHING)
    assert [target.name for target in made.targets] == ["this-host", "pixel9-cpu4"]
    assert len({target.device for target in made.targets}) == 1


def test_it_tells_which_optional_metrics_its_host_gives(monkeypatch):
    monkeypatch.setattr(module, "metrics_of_this_host", lambda: ("energy_mj",))
    settings = read_worker_settings(targets=["this-host", "pixel9-cpu4"])
    made = registration("one", settings, Registry(spaces()), NOTHING)
    assert [target.metrics for target in made.targets] == [("energy_mj",), ("energy_mj",)]


def test_experiments_may_require_what_the_engine_offers_and_what_the_settings_add():
    offer = Offer(resources={"gpus": 8, "cores": 64}, labels={"gpu": "h100", "rack": "1"})
    settings = read_worker_settings(resources={"gpus": 4}, labels={"rack": "2"})
    made = registration("one", settings, Registry(spaces()), offer)
    assert made.resources == {"gpus": 4, "cores": 64}
    assert made.labels == {"gpu": "h100", "rack": "2"}


def test_without_torch_it_offers_nothing(monkeypatch):
    monkeypatch.setattr(module, "package_versions", dict)
    made = registration("one", read_worker_settings(), Registry(spaces()), NOTHING)
    assert made.search_spaces == ()
    assert made.targets == ()


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
    heavy = {"torch", "numpy", "sqlalchemy", "fastapi", "ax", "botorch", "openvino", *RUNTIME_NAMES}
    heavy |= {"ai_edge_litert"}
    script = (
        f"import sys, {imported}\n"
        "from search_spaces.registry import installed_registry\n"
        "from workers.registration import registration\n"
        "from workers.settings import read_worker_settings\n"
        "from workers.engines.local import LocalEngine\n"
        "settings = read_worker_settings()\n"
        "offer = LocalEngine(settings).offer()\n"
        "made = registration('w', settings, installed_registry(), offer)\n"
        f"print(sorted({heavy!r} & set(sys.modules)), len(made.search_spaces))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("[]"), run.stdout
    assert int(run.stdout.split()[-1]) >= 1


def test_a_space_that_lacks_something_here_is_not_offered_and_the_log_says_what(caplog):
    (tiny,) = spaces()
    lacking = InstalledSpace(
        tiny.space.model_copy(update={"name": "large"}), tiny.load_recipe, lambda: "no model here"
    )
    with caplog.at_level(logging.INFO):
        offered = trainable_spaces(Registry([tiny, lacking]))
    assert [space.name for space in offered] == ["tiny"]
    assert "large is not offered here: no model here" in caplog.text
