"""Optional figures of the worker's own host; its counter of energy is made up."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.workers.measurement.fake_powercap import RunningCounter, add_zone
from workers.benches.in_process import InProcessBench
from workers.measurement.energy import measure_energy
from workers.measurement.rapl import NoEnergyCounter, RaplCounter
from workers.measurement.runnable import Runnable


class SleepingSession:
    """An inference of two milliseconds, or as many as the machine makes of them."""

    def __init__(self, took_ms: list[float]) -> None:
        self._took_ms = took_ms

    def prepare(self, inputs) -> None: ...

    def invoke(self) -> None:
        start_s = time.monotonic()
        time.sleep(0.002)
        self._took_ms.append(1e3 * (time.monotonic() - start_s))


class SleepingLoader:
    name = "onnxruntime"

    def __init__(self) -> None:
        self.took_ms: list[float] = []

    def load(self, path: Path, threads: int = 1) -> SleepingSession:
        return SleepingSession(self.took_ms)


NETWORK = Runnable(Path("network.onnx"), [(np.ones(1),)])


def bench_reading(
    powercap: Path, monkeypatch: pytest.MonkeyPatch, loader: SleepingLoader
) -> InProcessBench:
    monkeypatch.setattr("workers.benches.in_process.RaplCounter", partial(RaplCounter, powercap))
    quick = partial(measure_energy, repeat_s=0.3)
    monkeypatch.setattr("workers.benches.in_process.measure_energy", quick)
    return InProcessBench(loader, "this-box", powercap)


@pytest.mark.alone
def test_energy_is_read_from_the_packages_counter(tmp_path, monkeypatch) -> None:
    """On one that wraps within the first repeat, and later on, as real ones do in an hour."""
    zone, loader = (
        add_zone(tmp_path, "intel-rapl:0", "package-0", 19_500_000, 20_000_000),
        SleepingLoader(),
    )
    with RunningCounter(zone, watts=50) as running:
        bench = bench_reading(tmp_path, monkeypatch, loader)
        found = bench.optional_figure("energy_mj", NETWORK, 1)
        assert running.wraps >= 2
    assert np.median(found.values) == pytest.approx(50 * np.mean(loader.took_ms), rel=0.3)
    assert found.method.startswith("RAPL, 1 package, whatever runs there; gross, 5 repeats")


def test_a_counter_that_is_gone_is_told(tmp_path, monkeypatch) -> None:
    with pytest.raises(NoEnergyCounter, match="shows no energy counter"):
        bench_reading(tmp_path, monkeypatch, SleepingLoader()).optional_figure(
            "energy_mj", NETWORK, 1
        )
