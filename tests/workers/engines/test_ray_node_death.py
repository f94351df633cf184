"""A node is killed in the middle of its trainings: each trial is recorded, and once."""

import pytest

from benchmarks.engines.node_death import search

pytestmark = [pytest.mark.alone, pytest.mark.slow]


def test_a_killed_nodes_trainings_are_recorded_once(ray_cluster):
    run = search(ray_cluster, trials=6, seed=1, cpus=1, at_a_start=True)
    assert run.killed_processes > 1
    assert (run.lost, run.recorded_once, run.recorded_twice) == (0, 6, 0)
    assert run.started_anew >= run.running_then >= 1
    assert run.broken == 0
