"""A GPU of the worker's own host as a bench: torch's operations there, timed by CUDA events."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray

from service.domain.device import DeviceProfile
from workers.devices.gpu_probe import gpu_probed
from workers.devices.nvml import Gpu, GpuState
from workers.devices.probe import Probed
from workers.errors import GrantRefused, MetricNotGiven, WorkerError
from workers.measurement.device_profile import profile_this_host
from workers.measurement.energy import measure_energy
from workers.measurement.event_clock import Event, EventClock
from workers.measurement.latency import AloneTimings, Load, time_alone, time_pairs
from workers.measurement.noise import NoiseWatch
from workers.measurement.on_device import AcceleratorNote, Figures, Procedure, give_answers
from workers.measurement.optional_figure import OptionalFigure
from workers.measurement.peak_memory import PROCESSES, PeakMemory
from workers.measurement.runnable import Runnable
from workers.measurement.timed_block import Clocks, Invoke
from workers.runtimes.runtime import Loader
from workers.runtimes.torch_on_gpu import TorchOnGpu

_TRIES = 2
_ENERGY_S = 2.0  # long beside the grain of the counter, some tens of milliseconds


class GpuSlowedDown(WorkerError):
    """The GPU lowered its clocks for heat or for want of power while it was measured."""


class GpuMemory:
    """The peak of what torch's allocator has taken; the driver's own does not count."""

    def start(self) -> int:
        """Bytes taken now; the peak is counted from here on."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()

    def peak(self) -> int:
        """Bytes at the peak since `start`."""
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()


class GpuEnergyCounter:
    """What NVML counts of the GPU and its memory. state: reads it."""

    name = "NVML, total energy of the GPU"

    def __init__(self, state: Callable[[], GpuState]) -> None:
        self._state = state

    def read_mj(self) -> float:
        """Since the driver was loaded. Raises: MetricNotGiven if the GPU does not count it."""
        energy_mj = self._state().energy_mj
        if energy_mj is None:
            raise MetricNotGiven("this GPU does not count its energy")
        return energy_mj


def _new_event() -> Event:
    event: Event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call, assignment]
    return event


@contextmanager
def gpu_bench(name: str, device: str | None) -> Iterator["GpuBench"]:
    """The bench of the GPU called `name`, as NVML takes it.

    device: names the physical device in place of its UUID.
    Raises: DeviceUnreachable if it is not there; GrantRefused if torch cannot use it.
    """
    with Gpu(name) as gpu:
        identity = gpu.identity()
        # Torch sees this GPU alone, and has not looked yet: a stage makes its network on the CPU.
        os.environ["CUDA_VISIBLE_DEVICES"] = identity.uuid
        if torch.version.cuda is None or not torch.cuda.is_available():
            raise GrantRefused(
                f"torch {torch.__version__} cannot use the GPU {identity.name}; install a build of "
                "torch for CUDA on this worker"
            )
        probed = gpu_probed(identity, profile_this_host())
        yield GpuBench(
            replace(probed, name=device or probed.name),
            TorchOnGpu("cuda"),
            gpu.state,
            _new_event,
            GpuMemory(),
        )


class GpuBench:
    """See `gpu_bench`.

    state: reads the GPU's clocks and energy; new_event: makes a CUDA event; memory: see there.
    """

    def __init__(
        self,
        probed: Probed,
        loader: Loader,
        state: Callable[[], GpuState],
        new_event: Callable[[], Event],
        memory: GpuMemory,
    ) -> None:
        self._probed = probed
        self._loader = loader
        self._state = state
        self._memory = memory
        clock = EventClock(new_event)
        self._clocks = Clocks(clock, clock, "cuda_events")

    @property
    def device(self) -> str:
        """See `Bench.device`."""
        return self._probed.name

    @property
    def profile(self) -> DeviceProfile:
        """See `Bench.profile`."""
        return self._probed.profile

    def runtime_version(self) -> str:
        """See `Bench.runtime_version`."""
        return self._loader.version()

    def clock(self, threads: int) -> str:  # noqa: ARG002  (the GPU's, however many)
        """See `Bench.clock`."""
        return self._clocks.work_name

    def answers(self, candidate: Runnable, threads: int) -> Sequence[Sequence[NDArray[Any]]]:
        """See `Bench.answers`."""
        return list(give_answers(self._loader, candidate, threads))

    def calibrate(
        self,
        reference: Runnable,
        threads: int,
        quickest_pace_ns: float = math.nan,  # noqa: ARG002  (of processors)
    ) -> AloneTimings:
        """See `Bench.calibrate`."""
        return time_alone(self._loading(reference, threads), self._clocks, seed=0)

    def figures(self, candidate: Runnable, reference: Runnable, procedure: Procedure) -> Figures:
        """See `Bench.figures`; once more where the GPU slowed down meanwhile.

        Raises: GpuSlowedDown if it did so again.
        """
        for _ in range(_TRIES):
            before, watch = self._state(), NoiseWatch()
            timings = time_pairs(
                self._loading(candidate, procedure.threads),
                self._loading(reference, procedure.threads),
                self._clocks,
                procedure.seed,
                min_pairs=procedure.min_pairs,
                relative_ci=procedure.relative_ci,
                time_limit_s=procedure.time_limit_s,
            )
            after = self._state()
            if not (before.slowed_down or after.slowed_down):
                break
        else:
            raise GpuSlowedDown(
                f"{self._probed.profile.processor} lowered its clocks (now "
                f"{after.sm_clock_mhz} MHz) for heat or want of power, twice; cool it, or set a "
                "clock that it can keep: nvidia-smi --lock-gpu-clocks"
            )
        note = AcceleratorNote(
            sm_clock_mhz=(before.sm_clock_mhz, after.sm_clock_mhz),
            memory_clock_mhz=(before.memory_clock_mhz, after.memory_clock_mhz),
            energy_mj=self._energy_mj(candidate, procedure.threads),
        )
        rises = tuple(self._memory_rise(candidate, procedure.threads) for _ in range(PROCESSES))
        peak = PeakMemory(rises, "torch.cuda.max_memory_allocated")
        return Figures(timings, None, watch.read(), peak, note)

    def optional_figure(self, metric: str, candidate: Runnable, threads: int) -> OptionalFigure:
        """See `Bench.optional_figure`; the energy is the GPU's, without the host's."""
        if metric != "energy_mj":
            raise MetricNotGiven(f"{metric} cannot be measured on a GPU: {self._probed.name}")
        # Waiting after every inference, lest the host runs ahead.
        load, counter = self._loading(candidate, threads), GpuEnergyCounter(self._state)
        return measure_energy(load, counter, self._clocks.work)

    def _loading(self, runnable: Runnable, threads: int) -> Load:
        def load(index: int) -> Invoke:
            session = self._loader.load(runnable.path, threads)
            session.prepare(runnable.inputs[index % len(runnable.inputs)])
            return session.invoke

        return load

    def _energy_mj(self, candidate: Runnable, threads: int) -> float | None:
        """Of one inference, the GPU's rest included; None where it does not count its energy."""
        invoke = self._loading(candidate, threads)(0)
        before, runs, end_s = self._state().energy_mj, 0, time.monotonic() + _ENERGY_S
        while time.monotonic() < end_s:
            invoke()
            self._clocks.work()  # waits, lest the host runs ahead
            runs += 1
        after = self._state().energy_mj
        return None if before is None or after is None else (after - before) / runs

    def _memory_rise(self, candidate: Runnable, threads: int) -> int:
        taken = self._memory.start()
        invoke = self._loading(candidate, threads)(0)
        for _ in range(3):
            invoke()
        return self._memory.peak() - taken
