"""What the contract of engines leaves to Slurm: parameters, requeueing, and lost jobs."""

import os
import signal

import psutil
import pytest

from service.ray_cluster import EngineUnavailable
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
from workers.engines.slurm import SlurmEngine, job_parameters
from workers.settings import read_worker_settings
from workers.stage_result import StageCompleted, StageFailed

__all__ = ["folder"]


def job_of(lease_id):
    """The job's process, under which the stage runs."""
    watcher = min(stage_processes(lease_id), key=lambda process: process.create_time())
    return psutil.Process(watcher.pid).parent()


@pytest.fixture
def engine():
    """Slurm's stand-in: submitit's own jobs as processes of this machine."""
    return SlurmEngine(read_worker_settings(engine="slurm", slurm_cluster="local"), QUICK)


def test_without_submitit_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("workers.engines.slurm.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'archfront\[slurm\]'"):
        SlurmEngine(read_worker_settings(engine="slurm"))


def test_without_slurm_it_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineUnavailable, match="srun was not found"):
        SlurmEngine(read_worker_settings(engine="slurm"))


def test_a_job_asks_for_what_the_settings_and_the_experiment_say(folder):
    settings = read_worker_settings(
        engine="slurm",
        threads=4,
        slurm_partition="gpu",
        slurm_time_limit_min=90,
        resources={"memory_gib": 256, "gpus": 8, "gpu_memory_gib": 80},
    )
    required = {"cores": 2, "memory_gib": 40, "gpus": 1, "gpu_memory_gib": 40}
    order = order_in(folder, requires={"at_least": required})
    assert job_parameters(settings, order) == {
        "name": "archfront-tiny-search-0",
        "timeout_min": 90,
        "cpus_per_task": 4,
        "mem_gb": 43,
        "gpus_per_node": 1,
        "slurm_partition": "gpu",
    }
    by_gres = settings.model_copy(update={"slurm_gres": "gpu:a100:2"})
    parameters = job_parameters(by_gres, order)
    assert parameters["slurm_gres"] == "gpu:a100:2"
    assert "gpus_per_node" not in parameters


def test_one_job_of_ours_at_a_time_waits_in_the_queue(engine, folder):
    place = engine.place(0)
    assert engine.place(1) is None
    with place.run(order_in(folder, SLOW)) as run:
        begun(run, folder)
        other = engine.place(1)
        assert other is not None
        other.close()
    place.close()
    assert engine.place(0) is not None


def test_a_requeued_stage_starts_anew_under_the_same_lease(engine, folder):
    parameters = {"steps": 60, "step_s": 0.05}
    with engine.place(0).run(order_in(folder, parameters, lease_id="requeued")) as run:
        begun(run, folder)
        os.kill(job_of("requeued").pid, signal.SIGUSR2)  # as Slurm signals a preemption
        result = ended(run)
    assert isinstance(result, StageCompleted)
    assert folder.log.read_text().count("quick stage") == 2
    assert "Slurm started the stage anew" in folder.log.read_text()
    steps = steps_in(folder)
    assert steps[-60:] == list(range(1, 61))
    assert len(steps) > 60


def test_a_job_that_is_gone_without_a_result_is_the_machines_fault(engine, folder):
    with engine.place(0).run(order_in(folder, SLOW, lease_id="gone")) as run:
        begun(run, folder)
        job = job_of("gone")
        job.parent().kill()  # submitit's own keeper of local jobs
        job.kill()
        run._job._results_timeout_s = 0.5  # for what a slow shared disk might still bring
        result = ended(run)
    assert isinstance(result, StageFailed)
    assert result.fault == "machine"
    assert "Slurm's job" in result.message


def test_a_job_that_slurm_does_not_begin_is_given_back(folder, monkeypatch):
    settings = read_worker_settings(engine="slurm", slurm_cluster="local", place_wait_s=0.1)
    engine = SlurmEngine(settings, QUICK)
    monkeypatch.setattr("workers.engines.slurm.STARTS_FILE", "never-there")
    with engine.place(0).run(order_in(folder, SLOW)) as run:
        result = ended(run)
    assert isinstance(result, StageFailed)
    assert result.fault == "preempted"
