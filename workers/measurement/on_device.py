"""What is done on the device itself: run networks, calibrate, time.

The worker calls these functions for its own host, and `program` carries the very same ones to
others. They and all that they import need numpy and the runtime: no torch, no pydantic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from workers.measurement.latency import Load, PairTimings, time_alone, time_pairs
from workers.measurement.noise import Noise, NoiseWatch
from workers.measurement.peak_memory import PeakMemory, measure_peak_memory
from workers.measurement.pinning import pinned
from workers.measurement.runnable import Runnable
from workers.measurement.statistics import QuantileEstimate
from workers.measurement.timed_block import Invoke, clocks_for
from workers.runtimes.runtime import Loader


@dataclass(frozen=True)
class Procedure:
    """How to measure, as `MeasurementSettings` has it; seed: of the bootstrap."""

    threads: int
    min_pairs: int
    relative_ci: float
    time_limit_s: float
    seed: int


@dataclass(frozen=True)
class AcceleratorNote:
    """How an accelerator was meanwhile.

    sm_clock_mhz, memory_clock_mhz: before and after the timing.
    energy_mj: of one inference, by the accelerator's own counter; None where it has none.
    """

    sm_clock_mhz: tuple[int, int]
    memory_clock_mhz: tuple[int, int]
    energy_mj: float | None


@dataclass(frozen=True)
class Figures:
    """What was found of a candidate beside the reference.

    cores: those that the timing was kept on; None where there is no such thing as affinity.
    accelerator: None where it was measured on a processor.
    """

    timings: PairTimings
    cores: tuple[int, ...] | None
    noise: Noise
    peak: PeakMemory
    accelerator: AcceleratorNote | None = None


def give_answers(loader: Loader, candidate: Runnable, threads: int) -> Iterator[list[NDArray[Any]]]:
    """What the network answers to each of its inputs."""
    session = loader.load(candidate.path, threads)
    for one in candidate.inputs:
        yield session.run(one)


def calibrate(loader: Loader, reference: Runnable, threads: int) -> QuantileEstimate:
    """Median work time of the reference in nanoseconds, of nothing beside it."""
    with pinned(threads):
        return time_alone(loading(loader, reference, threads), clocks_for(threads), seed=0)


def take_figures(
    loader: Loader,
    candidate: Runnable,
    reference: Runnable,
    procedure: Procedure,
    work_folder: Path,
) -> Figures:
    """Times the candidate against the reference, then takes its peak memory.

    Raises: LoadFailed, PrecisionMissing; GrantRefused if there are fewer cores than threads;
        MemoryProbeDied.
    """
    threads = procedure.threads
    with pinned(threads) as cores:
        watch = NoiseWatch()
        timings = time_pairs(
            loading(loader, candidate, threads),
            loading(loader, reference, threads),
            clocks_for(threads),
            procedure.seed,
            min_pairs=procedure.min_pairs,
            relative_ci=procedure.relative_ci,
            time_limit_s=procedure.time_limit_s,
        )
        noise = watch.read()
    peak = measure_peak_memory(loader.name, candidate, reference, threads, work_folder)
    return Figures(timings, cores, noise, peak)


def loading(loader: Loader, runnable: Runnable, threads: int) -> Load:
    """Loads the network for a round; rounds take turns among the inputs."""

    def load(index: int) -> Invoke:
        session = loader.load(runnable.path, threads)
        session.prepare(runnable.inputs[index % len(runnable.inputs)])
        return session.invoke

    return load
