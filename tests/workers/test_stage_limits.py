"""Limits on real stages: whose they are decides whose fault it is to break them."""

import pytest

from service.schemas.leases import FailRequest, InfeasibleRequest
from tests.workers.grants import make_grant
from tests.workers.running_worker import RunningWorker
from workers import stage_limits
from workers.settings import read_worker_settings

pytestmark = pytest.mark.usefixtures("quick_stage", "quick_looks")

LONG = {"steps": 100_000, "step_s": 0.01}
GREEDY = LONG | {"held_mib": 200}
VERBOSE = LONG | {"written_mib": 20}
GIB_OF_100_MIB = 100 / 1024
GIB_OF_10_MIB = 10 / 1024


@pytest.fixture
def quick_looks(monkeypatch):
    monkeypatch.setattr(stage_limits, "MEMORY_LOOK_S", 0.1)
    monkeypatch.setattr(stage_limits, "DISK_LOOK_S", 0.1)


def report(server, url, folder, parameters, training=None, **settings):
    kind = settings.pop("stage_kind", "train")
    server.grants.append(make_grant(parameters, training=training or {}, stage_kind=kind))
    with RunningWorker(url, folder, **settings):
        return server.report()


@pytest.mark.parametrize(
    ("arm", "limit", "value", "words"),
    [
        (GREEDY, "memory_limit_gib", GIB_OF_100_MIB, "GiB of memory, more than training.memory"),
        (VERBOSE, "disk_limit_gib", GIB_OF_10_MIB, "GiB of files, more than training.disk"),
    ],
)
def test_an_arm_beyond_the_experiments_limit_is_infeasible(
    server, url, tmp_path, nothing_left_running, arm, limit, value, words
):
    done = report(server, url, tmp_path, arm, {limit: value}, **{limit: 2 * value})
    assert isinstance(done, InfeasibleRequest)
    assert words in done.reason


@pytest.mark.parametrize(
    ("arm", "limit", "value", "words"),
    [
        (GREEDY, "memory_limit_gib", GIB_OF_100_MIB, "GiB of memory, more than"),
        (VERBOSE, "disk_limit_gib", GIB_OF_10_MIB, "GiB of files, more than"),
        (LONG, "time_limit_s", 0.5, "took more than 0.5 s"),
    ],
)
def test_a_stage_beyond_the_workers_limit_is_the_machines_fault(
    server, url, tmp_path, nothing_left_running, arm, limit, value, words
):
    wider = {} if limit == "time_limit_s" else {limit: 2 * value}
    done = report(server, url, tmp_path, arm, wider, **{limit: value})
    assert isinstance(done, FailRequest)
    assert done.fault == "machine"
    assert words in done.message
    assert f"ARCHFRONT_WORKER_{limit.upper()}" in done.message


def test_the_experiments_limits_are_those_of_trainings(server, url, tmp_path, nothing_left_running):
    short = GREEDY | {"steps": 50}
    training = {"memory_limit_gib": GIB_OF_100_MIB}
    done = report(server, url, tmp_path, short, training, stage_kind="measure")
    assert not hasattr(done, "fault")
    assert not hasattr(done, "reason")


def test_a_stage_within_its_limits_is_left_alone(server, url, tmp_path, nothing_left_running):
    limits = {"memory_limit_gib": 10.0, "disk_limit_gib": 10.0}
    arm = GREEDY | VERBOSE | {"steps": 50}
    done = report(server, url, tmp_path, arm, limits, time_limit_s=60.0, **limits)
    assert done.measurements["error"].mean > 0


def test_limits_come_from_settings_and_spec():
    settings = read_worker_settings(memory_limit_gib=3.5, time_limit_s=60)
    assert settings.stage_limits == stage_limits.StageLimits(memory_gib=3.5, time_s=60.0)
