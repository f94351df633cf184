"""What is done on the device itself: run networks, calibrate, time.

The worker calls these functions for its own host, and `program` carries the very same ones to
others. They and all that they import need numpy and the runtime: no torch, no pydantic.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from workers.measurement.latency import AloneTimings, Load, time_alone, time_pairs
from workers.measurement.noise import Noise, NoiseWatch
from workers.measurement.pair_timings import PairTimings
from workers.measurement.peak_memory import PeakMemory, measure_peak_memory
from workers.measurement.pinning import pinned
from workers.measurement.runnable import Runnable
from workers.measurement.timed_block import Invoke, clocks_for
from workers.runtimes.runtime import Loader


@dataclass(frozen=True)
class Procedure:
    """How to measure, as `MeasurementSettings` has it.

    seed: of the bootstrap. quickest_pace_ns: the device's, as far as it is known; else NaN.
    """

    threads: int
    min_pairs: int
    relative_ci: float
    time_limit_s: float
    seed: int
    quickest_pace_ns: float = math.nan


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

    cores: those that the timing was kept on, in turn; None where the system has no affinity.
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


def calibrate(
    loader: Loader, reference: Runnable, threads: int, quickest_pace_ns: float = math.nan
) -> AloneTimings:
    """Times the reference with nothing beside it."""
    with pinned(threads) as cores:
        return time_alone(
            loading(loader, reference, threads),
            clocks_for(threads),
            seed=0,
            cores=cores,
            quickest_pace_ns=quickest_pace_ns,
        )


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
            cores=cores,
            quickest_pace_ns=procedure.quickest_pace_ns,
        )
        noise = watch.read()
    peak = measure_peak_memory(loader.name, candidate, reference, threads, work_folder)
    return Figures(timings, cores.taken, noise, peak)


def loading(loader: Loader, runnable: Runnable, threads: int) -> Load:
    """Loads the network for a round; rounds take turns among the inputs."""

    def load(index: int) -> Invoke:
        session = loader.load(runnable.path, threads)
        session.prepare(runnable.inputs[index % len(runnable.inputs)])
        return session.invoke

    return load
