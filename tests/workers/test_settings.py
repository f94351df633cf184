import os
from pathlib import Path

import pytest

from workers.errors import WorkerSettingsInvalid
from workers.settings import default_name, read_worker_settings


def test_what_is_given_comes_before_the_environment_and_that_before_the_default(monkeypatch):
    monkeypatch.setenv("ARCHFRONT_WORKER_SLOTS", "3")
    monkeypatch.setenv("ARCHFRONT_WORKER_STAGES", "train")
    monkeypatch.setenv("ARCHFRONT_WORKER_DRAIN_S", "1.5")
    settings = read_worker_settings(slots=2, stages=None)
    assert settings.slots == 2
    assert settings.stages == ("train",)
    assert settings.drain_s == 1.5
    assert settings.threads == 1


def test_folders_follow_the_users_own(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    settings = read_worker_settings()
    assert settings.data_folder == Path("/data/archfront/workers")
    assert settings.cache_folder == Path("/cache/archfront")


def test_cores_are_dealt_out_to_the_slots(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    settings = read_worker_settings(cores="0,1,3,2", slots=2, threads=2)
    assert settings.cores_of(0) == (0, 1)
    assert settings.cores_of(1) == (3, 2)
    assert read_worker_settings().cores_of(0) is None


def test_gpus_are_dealt_out_to_the_slots_in_turn():
    settings = read_worker_settings(gpus="0,MIG-4f2c", slots=4)
    assert [settings.gpu_of(slot) for slot in range(4)] == ["0", "MIG-4f2c", "0", "MIG-4f2c"]
    assert read_worker_settings().gpu_of(0) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"slots": 0}, ["slots", "'0'"]),
        ({"stages": "train,mesure"}, ["stages", "mesure"]),
        ({"stages": ""}, ["stages"]),
        ({"name": "my worker"}, ["name", "my worker"]),
        ({"cores": "0,77"}, ["cores", "77", "choose from"]),
        ({"cores": "0", "slots": 2}, ["2 slots", "lower slots"]),
        ({"gpus": "0,1"}, ["gpus lists 2", "1 slots", "each GPU one slot"]),
        ({"gpus": ""}, ["gpus lists 0"]),
        ({"resources": {"gpu_memory_gib": "much"}}, ["much", "--resource or ARCHFRONT_WORKER_RES"]),
        ({"drain_s": -1}, ["drain_s", "--drain or ARCHFRONT_WORKER_DRAIN_S"]),
        ({"claim_wait_s": 60}, ["claim_wait_s", "60"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_remedy(monkeypatch, given, words):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with pytest.raises(WorkerSettingsInvalid) as refused:
        read_worker_settings(**given)
    assert all(word in str(refused.value) for word in words), refused.value
    assert refused.value.remedy


def test_a_host_of_any_name_gives_a_worker_a_valid_one(monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "Jörg's laptop")
    assert read_worker_settings(name=default_name()).name == "worker-J-rg-s-laptop"


@pytest.mark.parametrize("engine", ["ray", "slurm"])
def test_an_engine_of_many_machines_trains_as_much_as_it_has_room_for(engine):
    settings = read_worker_settings(engine=engine)
    assert (settings.slots, settings.stages, settings.targets) == (64, ("train",), ())
    assert read_worker_settings(engine=engine, slots=3).slots == 3


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"stages": ("measure",)}, "start a worker beside each device"),
        ({"targets": ("this-host",)}, "start a worker beside each device"),
        ({"gpus": "0,1", "slots": 2}, "--gpus-per-stage"),
        ({"cores": "0"}, "--gpus-per-stage"),
    ],
)
def test_what_an_engine_of_many_machines_cannot_do_is_refused_with_the_remedy(given, named):
    with pytest.raises(WorkerSettingsInvalid) as caught:
        read_worker_settings(engine="ray", **given)
    assert named in str(caught.value)
