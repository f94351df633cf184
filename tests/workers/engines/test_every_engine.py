"""One contract for all engines: a stage runs there as if it ran here."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.workers.engines.conftest import QUICK
from tests.workers.grants import make_grant
from tests.workers.waiting import eventually, is_alive
from workers.engines.local import LocalEngine
from workers.engines.slurm import SlurmEngine
from workers.settings import read_worker_settings
from workers.stage_limits import StageLimits
from workers.stage_order import StageOrder
from workers.stage_result import StageCompleted, StageFailed
from workers.work_folder import WorkFolder

SLOW = {"steps": 100_000, "step_s": 0.02}


@pytest.fixture(params=["local", "slurm", pytest.param("ray", marks=pytest.mark.alone)])
def engine(request):
    if request.param == "ray":
        return request.getfixturevalue("ray_engine")
    if request.param == "slurm":
        return SlurmEngine(read_worker_settings(engine="slurm", slurm_cluster="local"), QUICK)
    return LocalEngine(read_worker_settings(), QUICK)


@pytest.fixture
def folder(tmp_path):
    made = WorkFolder(tmp_path / "work")
    made.create()
    return made


@pytest.fixture
def place(engine):
    found = None

    def is_found():
        nonlocal found
        found = engine.place(0)
        return found is not None

    assert eventually(is_found, 60)
    yield found
    found.close()


def order_in(folder, parameters=None, **changes):
    grant = make_grant(parameters, **changes)
    cache = folder.path.parent / "cache"
    cache.mkdir(exist_ok=True)
    return StageOrder(grant=grant, work_folder=folder.path, cache_folder=cache)


def ended(run, limit_s=60.0):
    results = []

    def has_ended():
        results.append(run.wait(0.1))
        return results[-1] is not None

    assert eventually(has_ended, limit_s), "the stage does not end"
    return results[-1]


def steps_in(folder):
    lines = folder.curve.read_text().splitlines() if folder.curve.exists() else []
    return [json.loads(line)["step"] for line in lines if line]


def begun(run, folder):
    def has_begun():
        assert run.wait(0.1) is None
        return len(steps_in(folder)) > 2

    assert eventually(has_begun, 60)


def stage_processes(lease_id):
    """The stage's processes, wherever on this machine: they print and hold a log of their own."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        order = next((Path(word) for word in command if word.endswith("order.json")), None)
        if order and order.exists() and lease_id in order.read_text():
            found.append(process)
    return found


def test_log_curve_result_and_files_arrive(place, folder):
    with place.run(order_in(folder, {"steps": 7})) as run:
        result = ended(run)
        assert ended(run) == result  # asking again changes nothing
    assert isinstance(result, StageCompleted)
    assert result.measurements["error"].protocol["steps"] == 7
    assert not result.early_stopped
    assert steps_in(folder) == list(range(1, 8))
    assert "quick stage" in folder.log.read_text()
    (file,) = result.files
    assert (file.name, file.path.read_bytes()) == ("network.safetensors", b"lease-1")
    assert folder.path in file.path.parents


def test_log_and_curve_arrive_while_it_runs_and_a_stop_reaches_it(place, folder):
    with place.run(order_in(folder, SLOW)) as run:
        begun(run, folder)
        run.stop()
        result = ended(run)
    assert isinstance(result, StageCompleted)
    assert result.early_stopped
    assert steps_in(folder) == list(range(1, result.measurements["error"].protocol["steps"] + 1))


def test_leaving_it_breaks_it_off_with_all_that_it_started(place, folder):
    with place.run(order_in(folder, SLOW, lease_id="left")) as run:
        begun(run, folder)
        processes = stage_processes("left")
        assert len(processes) == 2  # the watcher and the stage
    assert eventually(lambda: not any(is_alive(process.pid) for process in processes), 10)


def test_a_stage_that_is_killed_is_the_machines_fault(place, folder):
    with place.run(order_in(folder, SLOW, lease_id="killed")) as run:
        begun(run, folder)
        child = max(stage_processes("killed"), key=lambda process: process.create_time())
        os.kill(child.pid, signal.SIGKILL)
        result = ended(run)
    assert isinstance(result, StageFailed)
    assert result.fault == "machine"
    assert "SIGKILL" in result.message
    assert "quick stage" in result.detail


def test_what_it_needs_of_earlier_stages_lies_there(place, folder):
    (folder.inputs / "echo.bin").write_bytes(bytes(range(256)))
    with place.run(order_in(folder, {"steps": 1})) as run:
        result = ended(run)
    files = {file.name: file.path.read_bytes() for file in result.files}
    assert files["echo.bin"] == bytes(range(256))


def test_it_goes_on_from_an_earlier_checkpoint_and_leaves_later_ones(place, folder):
    folder.earlier.write_text("40")
    with place.run(order_in(folder, {"steps": 60, "step_s": 0.1})) as run:
        begun(run, folder)
        assert eventually(lambda: run.wait(0.1) or folder.newest_checkpoint(), 20)
        step, path = folder.newest_checkpoint()
        assert int(path.read_text()) == step > 40
        assert isinstance(ended(run), StageCompleted)
    assert steps_in(folder) == list(range(41, 61))


def test_it_keeps_its_state_when_asked(place, folder):
    with place.run(order_in(folder, {"steps": 100_000, "step_s": 0.01})) as run:
        begun(run, folder)
        folder.keep_flag.touch()
        assert eventually(lambda: run.wait(0.1) or folder.newest_checkpoint(), 20)


def test_a_limit_of_the_worker_ends_it_by_the_machines_fault(place, folder):
    order = order_in(folder, SLOW)
    order = order.model_copy(update={"limits": StageLimits(time_s=1.0)})
    with place.run(order) as run:
        result = ended(run)
    assert isinstance(result, StageFailed)
    assert result.fault == "machine"
    assert "time_limit_s" in result.message


def test_a_stage_sees_no_secret(place, folder, monkeypatch):
    monkeypatch.setenv("ARCHFRONT_TOKEN", "secret-of-the-node")
    with place.run(order_in(folder, SLOW, lease_id="curious")) as run:
        begun(run, folder)
        for process in stage_processes("curious"):
            environment = process.environ()
            assert "secret-of-the-node" not in environment.values()
            assert "ARCHFRONT_DATABASE_URL" not in environment


def test_an_engine_offers_cores_and_memory(engine):
    offer = engine.offer()
    if isinstance(engine, SlurmEngine):
        pytest.skip("what its machines have is said by the worker's settings")
    assert offer.resources["cores"] >= 1
    assert offer.resources["memory_gib"] > 0
