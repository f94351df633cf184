"""A device with a Python as a bench: the measuring program is carried there and run."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from service.domain.device import DeviceProfile
from workers.benches.remote_python import (
    PROGRAM_LIMIT_S,
    RemotePython,
    carry_program,
    run_program,
    runtimes_in,
)
from workers.devices.device import Device
from workers.devices.errors import DeviceCommandFailed
from workers.devices.probe import Probed
from workers.devices.workspace import Workspace, workspace
from workers.errors import GrantRefused, MetricNotGiven
from workers.measurement.array_file import read_arrays, write_arrays
from workers.measurement.latency import AloneTimings
from workers.measurement.on_device import Figures, Procedure
from workers.measurement.optional_figure import OptionalFigure
from workers.measurement.peak_memory import MemoryProbeDied
from workers.measurement.plain_json import Made, from_plain, to_plain
from workers.measurement.program import ANSWERS_FILE, RESULT_FILE
from workers.measurement.runnable import Runnable
from workers.measurement.timed_block import clocks_for
from workers.report import file_sha256
from workers.runtimes.errors import LoadFailed, PrecisionMissing, RuntimeMissing

_REFUSALS: Mapping[str, type[Exception]] = {
    error.__name__: error
    for error in (GrantRefused, LoadFailed, MemoryProbeDied, PrecisionMissing, RuntimeMissing)
}


@contextmanager
def carried_program(
    device: Device, probed: Probed, runtime: str, python: RemotePython, work_folder: Path
) -> Iterator["CarriedProgramBench"]:
    """The bench, in a folder of its own on the device that is gone afterwards.

    work_folder: here, for what is sent and fetched.
    Raises: DeviceUnreachable; DeviceCommandFailed; RuntimeMissing if it is not there.
    """
    with workspace(device) as folder:
        carry_program(folder)
        versions = runtimes_in(folder, python)
        if runtime not in versions:
            raise RuntimeMissing(
                f"the runtime {runtime!r} is not there for {python.command} on {probed.name}; "
                f"install it there, or leave it out of `runtimes` in the devices file"
            )
        yield CarriedProgramBench(folder, probed, runtime, versions[runtime], python, work_folder)


class CarriedProgramBench:
    """See `carried_program`."""

    def __init__(  # noqa: PLR0917  (made by `carried_program` alone)
        self,
        folder: Workspace,
        probed: Probed,
        runtime: str,
        version: str,
        python: RemotePython,
        work_folder: Path,
    ) -> None:
        self._folder = folder
        self._probed = probed
        self._runtime = runtime
        self._version = version
        self._python = python
        self._work_folder = work_folder
        self._sent: set[str] = set()

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
        return self._version

    def clock(self, threads: int) -> str:
        """See `Bench.clock`; the program takes the same one as this host would."""
        return clocks_for(threads).work_name

    def answers(self, candidate: Runnable, threads: int) -> Sequence[Sequence[NDArray[Any]]]:
        """See `Bench.answers`."""
        self._perform("answer", threads, PROGRAM_LIMIT_S, candidate=self._send(candidate))
        fetched = self._work_folder / ANSWERS_FILE
        self._folder.pull(ANSWERS_FILE, fetched)
        return read_arrays(fetched)

    def calibrate(
        self, reference: Runnable, threads: int, quickest_pace_ns: float = math.nan
    ) -> AloneTimings:
        """See `Bench.calibrate`."""
        done = self._perform(
            "calibrate",
            threads,
            PROGRAM_LIMIT_S,
            reference=self._send(reference),
            quickest_pace_ns=quickest_pace_ns,
        )
        return _made(AloneTimings, done)

    def figures(self, candidate: Runnable, reference: Runnable, procedure: Procedure) -> Figures:
        """See `Bench.figures`."""
        done = self._perform(
            "figures",
            procedure.threads,
            PROGRAM_LIMIT_S + 2 * procedure.time_limit_s,
            candidate=self._send(candidate),
            reference=self._send(reference),
            procedure=to_plain(procedure),
        )
        return _made(Figures, done)

    def optional_figure(
        self,
        metric: str,
        candidate: Runnable,  # noqa: ARG002  (as every bench takes it)
        threads: int,  # noqa: ARG002
    ) -> OptionalFigure:
        """None can be given so far. Raises: MetricNotGiven."""
        raise MetricNotGiven(
            f"{metric} cannot be measured on a device that is reached by SSH: {self._probed.name}"
        )

    def _send(self, runnable: Runnable) -> dict[str, str]:
        """The names of its files on the device, where each network is sent once."""
        network = f"{file_sha256(runnable.path)[:12]}-{runnable.path.name}"
        if network not in self._sent:
            self._folder.push(runnable.path, network)
            self._sent.add(network)
        inputs = self._work_folder / f"{network}.inputs.npz"
        write_arrays(inputs, runnable.inputs)
        self._folder.push(inputs, inputs.name)
        return {"network": network, "inputs": inputs.name}

    def _perform(self, deed: str, threads: int, limit_s: float, **files: Any) -> Any:
        order = {
            "deed": deed,
            "runtime": self._runtime,
            "threads": threads,
            "cores": self._python.cores,
            **files,
        }
        order_path = self._work_folder / "carried-order.json"
        order_path.write_text(json.dumps(order))
        self._folder.push(order_path, "order.json")
        run_program(self._folder, self._python, "order.json", limit_s, threads)
        result_path = self._work_folder / RESULT_FILE
        self._folder.pull(RESULT_FILE, result_path)
        result = json.loads(result_path.read_bytes())
        if refusal := result.get("refused"):
            error = _REFUSALS.get(refusal, DeviceCommandFailed)
            raise error(f"on {self._probed.name}: {result['message']}")
        return result["done"]


def _made(kind: type[Made], given: Any) -> Made:
    try:
        return from_plain(kind, given)
    except ValueError as error:
        raise DeviceCommandFailed(f"the measuring program gave no such figures: {error}") from error
