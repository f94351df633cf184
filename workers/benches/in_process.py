"""The worker's own host as a bench: measured in the process that asks."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from service.domain.device import DeviceProfile
from workers.errors import GrantRefused, MetricNotGiven
from workers.measurement import on_device
from workers.measurement.device_profile import profile_this_host
from workers.measurement.energy import measure_energy
from workers.measurement.instruction_count import count_instructions
from workers.measurement.latency import AloneTimings
from workers.measurement.on_device import Figures, Procedure
from workers.measurement.optional_figure import OptionalFigure
from workers.measurement.pinning import pinned
from workers.measurement.rapl import RaplCounter
from workers.measurement.runnable import Runnable
from workers.measurement.timed_block import clocks_for
from workers.runtimes.runtime import Loader


class InProcessBench:
    """The host that the worker runs on.

    cores: those to measure on, of which as many are taken as there are threads; None leaves the
        choice to the measurement among all that this process may use.
    """

    def __init__(
        self,
        loader: Loader,
        device: str,
        work_folder: Path,
        cores: Sequence[int] | None = None,
    ) -> None:
        self._loader = loader
        self._device = device
        self._work_folder = work_folder
        self._cores = cores
        self._profile = profile_this_host()

    @property
    def device(self) -> str:
        """See `Bench.device`."""
        return self._device

    @property
    def profile(self) -> DeviceProfile:
        """See `Bench.profile`."""
        return self._profile

    def runtime_version(self) -> str:
        """See `Bench.runtime_version`."""
        return self._loader.version()

    def clock(self, threads: int) -> str:
        """See `Bench.clock`."""
        return clocks_for(threads).work_name

    def answers(self, candidate: Runnable, threads: int) -> Sequence[Sequence[NDArray[Any]]]:
        """See `Bench.answers`."""
        return list(on_device.give_answers(self._loader, candidate, threads))

    def calibrate(
        self, reference: Runnable, threads: int, quickest_pace_ns: float = math.nan
    ) -> AloneTimings:
        """See `Bench.calibrate`."""
        with _kept_on(self._cores):
            return on_device.calibrate(self._loader, reference, threads, quickest_pace_ns)

    def figures(self, candidate: Runnable, reference: Runnable, procedure: Procedure) -> Figures:
        """See `Bench.figures`."""
        with _kept_on(self._cores):
            return on_device.take_figures(
                self._loader, candidate, reference, procedure, self._work_folder
            )

    def optional_figure(self, metric: str, candidate: Runnable, threads: int) -> OptionalFigure:
        """See `Bench.optional_figure`; instructions are those of one thread, however many."""
        if metric == "instruction_count":
            return count_instructions(self._loader.name, candidate, self._work_folder)
        if metric == "energy_mj":
            counter = RaplCounter()
            with _kept_on(self._cores), pinned(threads):
                return measure_energy(on_device.loading(self._loader, candidate, threads), counter)
        raise MetricNotGiven(f"{metric} cannot be measured on this worker's host; upgrade it")


@contextmanager
def _kept_on(cores: Sequence[int] | None) -> Iterator[None]:
    if cores is None:
        yield
        return
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        raise GrantRefused(
            f"this process cannot be kept on the cores {', '.join(map(str, cores))}: {error}; "
            f"correct `cores` in the devices file; there are {', '.join(map(str, allowed))}"
        ) from error
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
