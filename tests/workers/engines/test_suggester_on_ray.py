"""The suggester as a task of the cluster that the engine's tests have started."""

import os
import threading

import psutil
import pytest

from service.background.ray_suggester import keep_suggesting_on_ray, suggest_on_node, tell_end
from service.domain.errors import Unavailable
from service.ray_cluster import EngineUnavailable, join_ray_cluster
from tests.service.background.test_suggester import Laboratory
from tests.workers.waiting import eventually


@pytest.fixture(scope="module")
def ray(ray_cluster):
    joined = join_ray_cluster(ray_cluster.address)
    yield joined
    joined.shutdown()


@pytest.fixture
def laboratory(fresh_databases):
    made = Laboratory(fresh_databases.postgresql_url())
    yield made
    made.database.dispose()


def suggester_processes():
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "archfront suggester" in " ".join(process.info["cmdline"] or [])
    ]


@pytest.mark.alone
def test_it_fills_the_pool_goes_on_elsewhere_when_killed_and_ends_when_told(ray, laboratory):
    search = laboratory.create(strategy="sobol", pool_size=3)
    stop, errors = threading.Event(), []

    def suggest():
        try:
            keep_suggesting_on_ray(ray, stop)
        except EngineUnavailable as error:
            errors.append(error)

    thread = threading.Thread(target=suggest)
    thread.start()
    try:
        assert eventually(lambda: len(laboratory.candidates(search)) == 3, 60), errors
        (process,) = suggester_processes()
        process.kill()
        assert eventually(lambda: not process.is_running(), 10)
        laboratory.tell_all(search)
        assert eventually(lambda: len(laboratory.candidates(search)) == 3, 60), errors
    finally:
        stop.set()
        thread.join(30)
    assert errors == []
    assert eventually(lambda: not suggester_processes(), 10)


@pytest.mark.alone
def test_what_a_node_lacks_is_told_with_the_remedy(ray):
    without = {"env_vars": {"ARCHFRONT_DATABASE_URL": ""}}
    task = ray.remote(suggest_on_node).options(runtime_env=without, num_cpus=1).remote()
    with pytest.raises(EngineUnavailable, match="ARCHFRONT_DATABASE_URL is not set") as caught:
        tell_end(ray, task)
    assert "ray start" in str(caught.value)


@pytest.mark.parametrize("url", ["", "sqlite:////tmp/archfront.db"])
def test_a_node_without_postgresql_is_refused(monkeypatch, url):
    monkeypatch.setitem(os.environ, "ARCHFRONT_DATABASE_URL", url)
    with pytest.raises(Unavailable, match="PostgreSQL"):
        suggest_on_node()
