"""What the contract of engines leaves to Ray: placement, room, and starting anew."""

import os
import signal
import socket

import psutil
import pytest

from service.ray_cluster import EngineUnavailable, join_ray_cluster
from tests.workers.engines.conftest import QUICK
from tests.workers.engines.test_every_engine import (
    SLOW,
    begun,
    ended,
    folder,
    order_in,
    stage_processes,
    steps_in,
)
from tests.workers.waiting import eventually
from workers.stage_result import StageCompleted, StageFailed

__all__ = ["folder"]

QUICK_STAGE = QUICK[0]


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("service.ray_cluster.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'archfront\[ray\]'"):
        join_ray_cluster("10.0.0.1:6379")


def test_a_cluster_out_of_reach_is_named_with_the_remedy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EngineUnavailable, match=address) as caught:
            join_ray_cluster(address)
    assert "ray start --head" in str(caught.value)


def test_rays_own_client_is_refused():
    with pytest.raises(EngineUnavailable, match="on a node of the cluster"):
        join_ray_cluster("ray://10.0.0.1:10001")


@pytest.fixture
def changed(ray_engine, monkeypatch):
    """Changes the engine's settings for one test."""

    def change(**settings):
        monkeypatch.setattr(ray_engine, "settings", ray_engine.settings.model_copy(update=settings))

    return change


def placed(engine):
    found = []
    assert eventually(lambda: found.append(engine.place(0)) or found[-1], 60)
    return found[-1]


@pytest.mark.alone
def test_a_stage_runs_where_what_it_requires_is(ray_engine, ray_cluster, folder):
    requires = {"labels": {"gpu": "h100"}, "at_least": {"licences": 1}}
    place = placed(ray_engine)
    with place.run(order_in(folder, SLOW, requires=requires)) as run:
        begun(run, folder)
        assert [ray_cluster.count(number, QUICK_STAGE) for number in (1, 2)] == [0, 1]
    place.close()


@pytest.mark.alone
def test_there_is_no_room_beside_a_stage_that_waits_nor_on_a_full_cluster(
    ray_engine, changed, folder
):
    def has_room():
        place = ray_engine.place(1)
        if place is not None:
            place.close()
        return place is not None

    place = placed(ray_engine)
    assert not has_room()  # the other has not got its machine yet
    with place.run(order_in(folder, SLOW, requires={"at_least": {"cores": 2}})) as run:
        begun(run, folder)
        assert eventually(has_room)
        changed(threads=2)  # one of three cores is left
        assert eventually(lambda: not has_room())
    assert eventually(has_room)
    changed(threads=3)  # more than any machine has
    assert not has_room()
    place.close()


@pytest.mark.alone
def test_a_stage_that_no_machine_can_take_is_given_back(ray_engine, changed, folder):
    changed(place_wait_s=1.0)
    place = placed(ray_engine)
    with place.run(order_in(folder, requires={"at_least": {"cores": 64}})) as run:
        result = ended(run)
    place.close()
    assert isinstance(result, StageFailed)
    assert result.fault == "preempted"


def kill_task_of(lease_id):
    """Kills the Ray worker process under which the stage runs, and so the stage."""
    watcher = min(stage_processes(lease_id), key=lambda process: process.create_time())
    os.kill(psutil.Process(watcher.pid).ppid(), signal.SIGKILL)


@pytest.mark.alone
def test_ray_starts_a_lost_stage_anew_under_the_same_lease(ray_engine, folder):
    place = placed(ray_engine)
    parameters = {"steps": 60, "step_s": 0.05}
    with place.run(order_in(folder, parameters, lease_id="anew")) as run:
        begun(run, folder)
        kill_task_of("anew")
        result = ended(run)
    place.close()
    assert isinstance(result, StageCompleted)
    assert result.files[0].path.read_bytes() == b"anew"
    assert folder.log.read_text().count("quick stage") == 2
    assert "Ray started the stage anew" in folder.log.read_text()
    steps = steps_in(folder)
    assert steps[-60:] == list(range(1, 61))
    assert len(steps) > 60


@pytest.mark.alone
def test_a_stage_that_ray_gives_up_is_the_machines_fault(ray_engine, changed, folder):
    changed(retries=0)
    place = placed(ray_engine)
    with place.run(order_in(folder, SLOW, lease_id="given-up")) as run:
        begun(run, folder)
        kill_task_of("given-up")
        result = ended(run)
    place.close()
    assert isinstance(result, StageFailed)
    assert result.fault == "machine"
    assert "WorkerCrashedError" in result.message
