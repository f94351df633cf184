"""A GPU as a bench: with a made-up one everywhere, with a real one where there is one."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from service.domain.device import MeasurementSettings
from tests.workers.devices.fake_nvml import FakeNvml
from tests.workers.measurement.fake_gpu import FakeGpu
from workers.benches.gpu import GpuBench, GpuSlowedDown, gpu_bench
from workers.devices.gpu_probe import gpu_probed
from workers.devices.nvml import Gpu
from workers.errors import MetricNotGiven
from workers.measurement.device_profile import profile_this_host
from workers.measurement.energy import measure_energy
from workers.measurement.measure import measure
from workers.measurement.on_device import Procedure
from workers.measurement.runnable import Runnable
from workers.runtimes.runtime import Inputs
from workers.runtimes.torch_eager import TorchEager
from workers.runtimes.torch_on_gpu import TorchOnGpu

MS = 1_000_000
FEW = Procedure(threads=1, min_pairs=16, relative_ci=0.5, time_limit_s=0.0, seed=0)


class FakeSession:
    def __init__(self, gpu: FakeGpu, nvml: FakeNvml, path: Path) -> None:
        self._gpu, self._nvml = gpu, nvml
        self._ns = 6 * MS if path.name == "candidate" else 2 * MS

    def prepare(self, inputs: Inputs) -> None: ...

    def invoke(self) -> None:
        self._gpu.give(self._ns)
        self._nvml.energy_mj += 30


class FakeLoader:
    name = "torch_eager"

    def __init__(self, gpu: FakeGpu, nvml: FakeNvml) -> None:
        self._gpu, self._nvml = gpu, nvml
        self.loads = 0

    def version(self) -> str:
        return "2.13.0 CUDA 12.8"

    def load(self, path: Path, threads: int = 1) -> FakeSession:
        self.loads += 1
        return FakeSession(self._gpu, self._nvml, path)


class FakeMemory:
    def start(self) -> int:
        return 1_000

    def peak(self) -> int:
        return 5_000


class Made:
    """A bench of a made-up GPU, on which 1,755 MHz last."""

    def __init__(self, gpu: Gpu, nvml: FakeNvml) -> None:
        self.nvml = nvml
        self.time = FakeGpu()
        self.loader = FakeLoader(self.time, nvml)
        probed = gpu_probed(gpu.identity(), profile_this_host())
        self.bench = GpuBench(probed, self.loader, gpu.state, self.time.new_event, FakeMemory())


@pytest.fixture
def made(monkeypatch) -> Iterator[Made]:
    monkeypatch.setattr("workers.benches.gpu._ENERGY_S", 0.05)
    nvml = FakeNvml()
    with Gpu("0", nvml) as gpu:
        yield Made(gpu, nvml)


CANDIDATE, REFERENCE = (Runnable(Path(name), [()]) for name in ("candidate", "reference"))


def test_it_times_by_events_in_the_same_pairs_as_any_device(made: Made) -> None:
    assert made.bench.calibrate(REFERENCE, 1).median_ns.value == pytest.approx(2 * MS)
    figures = made.bench.figures(CANDIDATE, REFERENCE, FEW)
    np.testing.assert_allclose(figures.timings.ratios, 3.0, rtol=1e-6)
    np.testing.assert_allclose(figures.timings.wall_ns, 6 * MS, rtol=1e-6)
    assert figures.timings.ratios.size == 16
    assert figures.cores is None
    assert figures.peak.rise_bytes == (4_000, 4_000, 4_000)
    note = figures.accelerator
    assert note is not None
    assert note.sm_clock_mhz == (1_755, 1_755)
    assert note.energy_mj == pytest.approx(30)
    assert made.bench.clock(1) == "cuda_events"
    assert made.bench.runtime_version() == "2.13.0 CUDA 12.8"


def test_a_gpu_that_slows_down_is_measured_once_more_and_then_refused(made: Made) -> None:
    made.nvml.reasons = made.nvml.nvmlClocksThrottleReasonHwThermalSlowdown
    with pytest.raises(GpuSlowedDown, match=r"1755 MHz\) for heat .*--lock-gpu-clocks"):
        made.bench.figures(CANDIDATE, REFERENCE, FEW)
    assert made.loader.loads == 2 * 2 * 2  # tries, rounds, networks


def test_without_a_counter_there_is_no_energy(made: Made) -> None:
    made.nvml.lacking = ("energy",)
    note = made.bench.figures(CANDIDATE, REFERENCE, FEW).accelerator
    assert note is not None
    assert note.energy_mj is None


def test_the_energy_of_one_inference_is_counted_by_the_gpu(made: Made, monkeypatch) -> None:
    at_once = partial(measure_energy, repeat_s=0.0)
    monkeypatch.setattr("workers.benches.gpu.measure_energy", at_once)
    found = made.bench.optional_figure("energy_mj", CANDIDATE, 1)
    assert found.values == pytest.approx([30] * 5)
    assert "NVML, total energy of the GPU; gross" in found.method
    made.nvml.lacking = ("energy",)
    with pytest.raises(MetricNotGiven, match="does not count its energy"):
        made.bench.optional_figure("energy_mj", CANDIDATE, 1)
    with pytest.raises(MetricNotGiven, match="instruction_count cannot be measured on a GPU"):
        made.bench.optional_figure("instruction_count", CANDIDATE, 1)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        places = torch.arange(3, device=x.device)  # made inside: has to move as well
        return {"scaled": self.layer(x) * self.scale + places, "chosen": self.layer(x).argmax(-1)}


def test_a_program_is_moved_to_the_device_whole(tmp_path: Path) -> None:
    """Onto `meta`, which has shapes and no values: what stayed behind would be refused."""
    torch.manual_seed(0)
    network, x = Scaled().eval(), torch.randn(2, 4)
    exported = TorchEager().export(network, (x,), tmp_path)
    on_cpu = TorchOnGpu("cpu").load(exported.path)
    expected = [leaf.detach().numpy() for leaf in network(x).values()]
    for answer, wanted in zip(on_cpu.run([x.numpy()]), expected, strict=True):
        np.testing.assert_allclose(answer, wanted, rtol=1e-6)
    with pytest.raises(ValueError, match="takes 1 inputs, 2 were given"):
        on_cpu.prepare([x, x])
    elsewhere = TorchOnGpu("meta").load(exported.path)
    elsewhere.prepare([x])
    elsewhere.invoke()
    assert {leaf.device.type for leaf in elsewhere._answers.values()} == {"meta"}


@pytest.mark.alone
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use here")
def test_a_real_gpu_is_measured(tmp_path: Path) -> None:
    settings = MeasurementSettings.model_validate(
        {"runtime": "torch_eager", "min_pairs": 16, "relative_ci": 0.5, "time_limit_s": 5}
    )
    inputs = [(torch.randn(8, 1024),)]
    with gpu_bench("0", None) as bench:
        found = measure(
            nn.Linear(1024, 4096), inputs, settings, TorchEager(), bench, tmp_path, tmp_path, 0
        )
    assert 0.001 < found.metrics["latency_ms"].mean < 100
    assert found.metrics["peak_memory_bytes"].mean >= 4 * 1024 * 4096
    assert found.protocol["clock"] == "cuda_events"
    assert found.protocol["accelerator"]["sm_clock_mhz"][0] > 0
