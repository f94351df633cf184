"""Energy by a counter that is made up; no machine of ours has had a real one."""

import pytest

from workers.measurement.energy import REPEATS, EnergyCounterStands, measure_energy


class Counter:
    """Counts what `work` is told to take."""

    name = "made up"

    def __init__(self) -> None:
        self.mj = 7_000.0

    def read_mj(self) -> float:
        return self.mj


def test_each_repeat_is_of_a_fresh_session_without_its_warm_up() -> None:
    counter, loaded, calls = Counter(), [], []

    def load(index: int):
        loaded.append(index)
        counter.mj += 1_000  # loading is not the inference's

        def invoke() -> None:
            counter.mj += 20 + index
            calls.append(index)

        return invoke

    found = measure_energy(load, counter, repeat_s=0.01)
    assert loaded == list(range(REPEATS))
    assert found.values == pytest.approx([20, 21, 22, 23, 24])
    assert "made up; gross, 5 repeats of 0.01 s back to back" in found.method


def test_it_waits_for_a_device_that_computes_by_itself() -> None:
    counter, given = Counter(), []

    def wait() -> None:
        counter.mj += 30 * len(given)
        given.clear()

    found = measure_energy(lambda _: lambda: given.append(1), counter, wait, repeat_s=0.01)
    assert found.values == pytest.approx([30] * REPEATS)


def test_even_the_slowest_network_runs_once() -> None:
    counter, calls = Counter(), []

    def invoke() -> None:
        counter.mj += 5
        calls.append(1)

    assert measure_energy(lambda _: invoke, counter, repeat_s=0.0).values == (5,) * REPEATS
    assert len(calls) == REPEATS * (3 + 1)


def test_a_counter_that_stands_still_is_the_machines_fault() -> None:
    with pytest.raises(EnergyCounterStands, match="stood still for 0 s \\(made up\\)"):
        measure_energy(lambda _: lambda: None, Counter(), repeat_s=0.0)
