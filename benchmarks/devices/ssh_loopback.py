"""One network on this machine, in turn by itself and over SSH on loopback.

Both ways count in the milliseconds of one calibration, as two ways to one device do in a worker.
Each local run is a fresh process with torch in it, as a stage has; over SSH the measuring program
runs in a fresh process without.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.devices.network import NETWORKS, export_network
from benchmarks.devices.records import PairOfRuns, Run, append, read
from benchmarks.source_commit import commit_of
from tests.workers.devices.ssh_server import ssh_server
from workers.benches.bench import Bench
from workers.benches.carried_program import carried_program
from workers.benches.in_process import InProcessBench
from workers.benches.remote_python import RemotePython
from workers.devices.probe import probe
from workers.devices.ssh import SshDevice
from workers.environment import processor_name
from workers.measurement.on_device import Procedure
from workers.measurement.reference import calibrated_reference, kept_paces
from workers.measurement.reference_network import reference_for
from workers.measurement.runnable import Runnable
from workers.registration import machine_device
from workers.runtimes.registry import find_runtime

USUAL = Procedure(threads=1, min_pairs=64, relative_ci=0.01, time_limit_s=20.0, seed=0)
"""The defaults of `MeasurementSettings`."""


def record(path: Path, name: str, pairs: int, python: str | None = None) -> None:
    """Takes pairs of the network of this name until there are `pairs`, each kept at once.

    Which of the two ways goes first alternates from pair to pair.
    """
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        export_network(name, folder)
        local_run(name, folder, USUAL)  # calibrates the reference, and warms what can be
        while (done := sum(pair.network == name for pair in read(path))) < pairs:
            ways = [_fresh_local_run, lambda *given: ssh_run(*given, USUAL, python)]
            if done % 2:
                ways.reverse()
            runs = {run.way: run for run in (way(name, folder) for way in ways)}
            append(path, PairOfRuns(name, runs["local"], runs["ssh"], _versions()))
            print(f"{runs['ssh'].latency_ms / runs['local'].latency_ms:.4f}", file=sys.stderr)


def local_run(name: str, folder: Path, procedure: Procedure) -> Run:
    """In this process."""
    runtime = find_runtime("onnxruntime")
    bench = InProcessBench(runtime, machine_device(), folder)
    return _run("local", name, bench, folder, procedure)


def ssh_run(name: str, folder: Path, procedure: Procedure, python: str | None = None) -> Run:
    """Through an OpenSSH server of its own, which runs only meanwhile."""
    with ssh_server(Path(tempfile.mkdtemp(prefix="archfront-sshd-"))) as server:
        device = SshDevice(server.host, options=server.options, scratch_folder=str(folder))
        probed = probe(device, torch.__version__)
        there = RemotePython(python or sys.executable)
        with carried_program(device, probed, "onnxruntime", there, folder) as bench:
            run = _run("ssh", name, bench, folder, procedure)
        device.close()
    shutil.rmtree(server.known_hosts.parent)
    return run


def _run(way: str, name: str, bench: Bench, folder: Path, procedure: Procedure) -> Run:
    start_s = time.monotonic()
    candidate = Runnable(folder / f"{name}.onnx", [NETWORKS[name].inputs])
    shape = reference_for(candidate.path.stat().st_size)
    reference = calibrated_reference(shape, find_runtime("onnxruntime"), bench, 1, folder)
    paces = kept_paces(bench, folder)
    procedure = replace(procedure, quickest_pace_ns=paces.quickest_ns())
    timings = bench.figures(candidate, reference.runnable, procedure).timings
    paces.keep(timings.pace_ns)
    ratio = timings.median_ratio(procedure.seed)
    return Run(
        way=way,
        latency_ms=ratio.value * reference.calibration.latency_ms,
        sem_ms=ratio.sem * reference.calibration.latency_ms,
        pairs=timings.ratios.size,
        ended_by=timings.ended_by,
        seconds=time.monotonic() - start_s,
        load_average=os.getloadavg()[0],
    )


def _fresh_local_run(name: str, folder: Path) -> Run:
    command = [sys.executable, "-m", "benchmarks.devices.ssh_loopback", name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def _versions() -> dict[str, str]:
    client = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True)
    return {
        "onnxruntime": find_runtime("onnxruntime").version(),
        "torch": torch.__version__,
        "Python": sys.version.split()[0],
        "ssh": client.stderr.partition(",")[0].removeprefix("OpenSSH_"),
        "processor": f"{processor_name()} ({os.cpu_count()} cores)",
        "source": commit_of("workers"),
    }


def main() -> None:
    """One local run in this process, printed as JSON: see `_fresh_local_run`."""
    parser = argparse.ArgumentParser(description="One local run, as JSON.")
    parser.add_argument("name", choices=NETWORKS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    print(json.dumps(asdict(local_run(given.name, given.folder, USUAL))))


if __name__ == "__main__":
    main()
