"""A device without Python as a bench: the runtime's own runner is carried there and run.

Each run of the runner is a fresh process, so pairs are of processes: candidate and reference take
turns, each computes often enough in one process that its first, cold inference weighs little, and
the runner's own words tell how long that took.
"""

import math
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.domain.device import DeviceProfile
from workers.benches.battery import draw_during
from workers.devices.device import Device
from workers.devices.devices_file import Runner
from workers.devices.errors import DeviceCommandFailed
from workers.devices.probe import Probed
from workers.devices.workspace import Workspace, workspace
from workers.errors import MetricNotGiven
from workers.measurement.disturbed_pairs import NO_PAIRS
from workers.measurement.latency import AloneTimings
from workers.measurement.noise import Noise
from workers.measurement.on_device import Figures, Procedure
from workers.measurement.optional_figure import OptionalFigure
from workers.measurement.pair_timings import PairTimings
from workers.measurement.peak_memory import PROCESSES, PeakMemory
from workers.measurement.runnable import Runnable
from workers.measurement.statistics import estimate_quantile
from workers.report import file_sha256
from workers.runtimes.errors import LoadFailed

_CALIBRATING_RUNS = 16
_PROCESS_NS = 100_000_000  # computed in one process, or longer
_MOST_REPEATS = 1_000
_ON_BATTERY_NS = 10_000_000_000  # gauges look at the current every quarter of a second or less
_MOST_REPEATS_ON_BATTERY = 100_000
_TIMES_ON_BATTERY = 5
_LIMIT_S = 600.0
_NS_IN = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
_CANNOT_EXECUTE = (126, 127)  # a shell's words for: no such program, or not for this machine
_SIGNAL_BASE = 128
_KIB = 1024
_MESSAGE_LENGTH = 600

# Looks at the process as often as it can until it has ended; the peak only ever rises.
_WATCH_PEAK = r"""
{command} > watched.txt 2>&1 &
pid=$!
while kill -0 $pid 2>/dev/null; do
  seen=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status 2>/dev/null)
  [ -n "$seen" ] && [ "$seen" -gt 0 ] && peak=$seen
done
wait $pid || exit $?
echo "$peak"
"""


@contextmanager
def own_runner(
    device: Device,
    probed: Probed,
    runner: Runner,
    cores: Sequence[int] | None,
    work_folder: Path,
) -> Iterator["OwnRunnerBench"]:
    """The bench, in a folder of its own on the device that is gone afterwards.

    cores: those that the runner is kept on; the device then needs `taskset`, as toybox has it.
    work_folder: here, for what is sent and fetched.
    Raises: DeviceUnreachable; DeviceCommandFailed.
    """
    with workspace(device) as folder:
        folder.push(runner.binary, "runner")
        folder.run(["chmod", "755", "runner"], _LIMIT_S)
        yield OwnRunnerBench(folder, probed, runner, cores, work_folder)


class OwnRunnerBench:
    """See `own_runner`."""

    def __init__(
        self,
        folder: Workspace,
        probed: Probed,
        runner: Runner,
        cores: Sequence[int] | None,
        work_folder: Path,
    ) -> None:
        self._folder = folder
        self._probed = probed
        self._runner = runner
        self._cores = cores
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
        """As the devices file tells it."""
        return self._runner.version

    def clock(self, threads: int) -> str:  # noqa: ARG002  (the runner's, however many)
        """The runner's own."""
        return "wall_time_of_runner"

    def answers(self, candidate: Runnable, threads: int) -> Sequence[Sequence[NDArray[Any]]]:
        """See `Bench.answers`; needs `candidate.outputs`."""
        return [self._answers(candidate, index, threads) for index in range(len(candidate.inputs))]

    def calibrate(
        self,
        reference: Runnable,
        threads: int,
        quickest_pace_ns: float = math.nan,  # noqa: ARG002  (nobody tells there)
    ) -> AloneTimings:
        """See `Bench.calibrate`; each of `_CALIBRATING_RUNS` processes gives one figure."""
        repeats = self._repeats(reference, threads)
        times = [
            float(np.mean(self._time(reference, 0, repeats, threads)))
            for _ in range(_CALIBRATING_RUNS)
        ]
        median_ns = estimate_quantile(np.array(times)[:, None], 0.5, seed=0)
        return AloneTimings(median_ns, math.nan)

    def figures(self, candidate: Runnable, reference: Runnable, procedure: Procedure) -> Figures:
        """See `Bench.figures`; a round is one pair, for every process is a fresh session."""
        start_s, threads = time.monotonic(), procedure.threads
        repeats = {
            "candidate": self._repeats(candidate, threads),
            "reference": self._repeats(reference, threads),
        }
        ratios: list[float] = []
        reference_ns: list[float] = []
        wall_ns: list[Sequence[float]] = []
        while True:
            index = len(ratios) % len(candidate.inputs)
            turns = {"candidate": (candidate, index), "reference": (reference, 0)}
            order = list(turns) if len(ratios) % 2 == 0 else list(reversed(turns))
            found = {name: self._time(*turns[name], repeats[name], threads) for name in order}
            reference_ns.append(float(np.mean(found["reference"])))
            ratios.append(float(np.mean(found["candidate"])) / reference_ns[-1])
            wall_ns.append(found["candidate"])
            if len(ratios) < procedure.min_pairs:
                continue
            estimate = estimate_quantile(np.array(ratios)[:, None], 0.5, procedure.seed)
            narrow = estimate.relative_half_width <= procedure.relative_ci
            if narrow or time.monotonic() - start_s >= procedure.time_limit_s:
                break
        timings = PairTimings(
            ratios=np.array(ratios)[:, None],
            reference_ns=np.array(reference_ns)[:, None],
            paces_ns=np.full(len(ratios), math.nan),
            quickest_pace_ns=math.nan,
            fewest_rounds=procedure.min_pairs,
            wall_ns=np.array(wall_ns),
            candidate_repeats=repeats["candidate"],
            reference_repeats=repeats["reference"],
            warm_up_runs=0,
            unsettled_rounds=0,
            watched=(),  # what befalls a process there, nobody tells
            set_aside=NO_PAIRS,
            counted=NO_PAIRS,
            ended_by="confidence" if narrow else "time_limit",
        )
        noise = Noise(None, None, self._load_average())
        peaks = tuple(
            self._peak_bytes(candidate, repeats["candidate"], threads) for _ in range(PROCESSES)
        )
        peak = PeakMemory(peaks, "VmHWM of the runner's process, its own code in it")
        cores = None if self._cores is None else tuple(self._cores)
        return Figures(timings, cores, noise, peak)

    def optional_figure(self, metric: str, candidate: Runnable, threads: int) -> OptionalFigure:
        """See `Bench.optional_figure`; energy by the battery, loading the network included."""
        if metric != "energy_mj":
            raise MetricNotGiven(f"{metric} cannot be measured on {self._probed.name}, over adb")
        few = self._repeats(candidate, threads)
        once_ns = float(np.mean(self._time(candidate, 0, few, threads)))
        repeats = min(_MOST_REPEATS_ON_BATTERY, math.ceil(_ON_BATTERY_NS / max(once_ns, 1.0)))
        found = []
        for index in range(_TIMES_ON_BATTERY):
            command = self._command(candidate, index % len(candidate.inputs), repeats, threads)
            drawn = draw_during(command, lambda line: self._shell(line, candidate.path.name))
            one_s = float(np.mean(self._times_told(drawn.said, repeats))) / _NS_IN["s"]
            found.append(drawn.mean_mw * one_s)
        return OptionalFigure(
            tuple(found),
            f"the battery's current x voltage, of the whole device; {_TIMES_ON_BATTERY} processes "
            f"of {repeats} inferences",
        )

    def _answers(self, candidate: Runnable, index: int, threads: int) -> list[NDArray[Any]]:
        self._shell(self._command(candidate, index, 1, threads), candidate.path.name)
        answers = []
        for place, (dtype, shape) in enumerate(candidate.outputs):
            name = self._runner.outputs.format(outputs="answer", place=place)
            fetched = self._work_folder / f"answer-{place}"
            self._folder.pull(name, fetched)
            content = np.fromfile(fetched, dtype)
            # Of another size it stays flat, and will be told from torch's by its shape.
            answers.append(content.reshape(shape) if content.size == math.prod(shape) else content)
        return answers

    def _repeats(self, runnable: Runnable, threads: int) -> int:
        once_ns = float(np.mean(self._time(runnable, 0, 1, threads)))
        return min(_MOST_REPEATS, max(2, math.ceil(_PROCESS_NS / max(once_ns, 1.0))))

    def _time(self, runnable: Runnable, index: int, repeats: int, threads: int) -> Sequence[float]:
        """Nanoseconds of one inference: the mean of all, or of each but the first."""
        command = self._command(runnable, index, repeats, threads)
        return self._times_told(self._shell(command, runnable.path.name), repeats)

    def _times_told(self, said: str, repeats: int) -> Sequence[float]:
        """As `_time`, out of what the runner has said."""
        found = list(re.finditer(self._runner.pattern, said))
        wanted = 1 if self._runner.time_of == "all" else repeats
        if len(found) != wanted:
            raise DeviceCommandFailed(
                f"the pattern {self._runner.pattern!r} fits {len(found)} times, not {wanted}, in "
                f"what the runner said; correct `pattern` or `time_of` in the devices file: "
                f"{said.strip()[-_MESSAGE_LENGTH:]}"
            )
        times = [
            float(value) * _NS_IN[unit]
            for one in found
            for unit, value in one.groupdict().items()
            if unit in _NS_IN
        ]
        if self._runner.time_of == "all":
            return [times[0] / repeats]
        return times[1:] or times

    def _peak_bytes(self, candidate: Runnable, repeats: int, threads: int) -> int:
        command = self._command(candidate, 0, repeats, threads)
        said = self._shell(_WATCH_PEAK.replace("{command}", command), candidate.path.name)
        if not said.strip().isdecimal():
            raise DeviceCommandFailed(
                f"the peak memory of the runner cannot be read in /proc: {said.strip()!r}"
            )
        return int(said) * _KIB

    def _command(self, runnable: Runnable, index: int, repeats: int, threads: int) -> str:
        network, inputs = self._send(runnable, index)
        places = {
            "runner": "./runner",
            "network": network,
            "inputs": self._runner.separator.join(inputs),
            "outputs": "answer",
            "runs": str(repeats),
            "threads": str(threads),
        }
        command = self._runner.command.format(
            **{name: shlex.quote(value) for name, value in places.items()}
        )
        if self._cores is None:
            return command
        return f"taskset {sum(1 << core for core in self._cores):x} {command}"

    def _send(self, runnable: Runnable, index: int) -> tuple[str, list[str]]:
        """The names of its files on the device, where each is sent once."""
        network = f"{file_sha256(runnable.path)[:12]}-{runnable.path.name}"
        if network not in self._sent:
            self._folder.push(runnable.path, network)
            self._sent.add(network)
        names = []
        for place, array in enumerate(runnable.inputs[index]):
            name = f"{network}.{index}.{place}.bin"
            if name not in self._sent:
                source = self._work_folder / "carried-input.bin"
                source.write_bytes(np.ascontiguousarray(array).tobytes())
                self._folder.push(source, name)
                self._sent.add(name)
            names.append(name)
        return network, names

    def _shell(self, line: str, network: str) -> str:
        """What was said on both streams. Raises: LoadFailed; DeviceCommandFailed."""
        done = self._folder.shell(line, _LIMIT_S)
        said = f"{done.output}\n{done.errors}"
        if done.status == 0:
            return said
        told = f"status {done.status}: {said.strip()[-_MESSAGE_LENGTH:]}"
        if done.status in _CANNOT_EXECUTE or done.status >= _SIGNAL_BASE:
            raise DeviceCommandFailed(
                f"the runner {self._runner.binary} cannot run on {self._probed.name} ({told}); "
                "see `binary` and `command` in the devices file"
            )
        raise LoadFailed(f"the runner on {self._probed.name} refuses {network} ({told})")

    def _load_average(self) -> float:
        told = self._folder.shell("cat /proc/loadavg", _LIMIT_S).output.split()
        return float(told[0]) if told else 0.0
