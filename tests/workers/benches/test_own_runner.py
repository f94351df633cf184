"""The runtime's own runner behind the real adb client and a stand-in for the phone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from service.domain.device import MeasurementSettings
from tests.workers.benches.fake_battery import full_of
from workers.benches.battery import draw_during
from workers.benches.open_bench import open_bench
from workers.benches.own_runner import own_runner
from workers.devices.devices_file import AdbEntry, Runner
from workers.devices.errors import DeviceCommandFailed
from workers.devices.local import LocalDevice
from workers.devices.probe import probe
from workers.errors import GrantRefused, MetricNotGiven
from workers.measurement.measure import measure
from workers.measurement.on_device import Procedure
from workers.measurement.runnable import Runnable
from workers.runtimes.errors import LoadFailed, RuntimeMissing
from workers.runtimes.onnxruntime import OnnxRuntime
from workers.runtimes.registry import find_runtime

Saying = Callable[..., Runner]


@pytest.fixture
def saying(tmp_path: Path) -> Saying:
    """A runner that does as this script says, with the runs as its first argument."""

    def made(script: str, **changes: object) -> Runner:
        binary = tmp_path / "said"
        binary.write_text(f"#!/bin/sh\n{script}\n")
        given = {
            "runtime": "executorch",
            "version": "1.5.1",
            "binary": binary,
            "command": "{runner} {runs} {network} {inputs} {outputs}",
            "pattern": r"took (?P<ms>[\d.]+) ms",
        }
        return Runner.model_validate(given | changes)

    return made


@pytest.fixture
def network(tmp_path: Path) -> Runnable:
    path = tmp_path / "network.pte"
    path.write_bytes(b"a network")
    return Runnable(path, [(np.ones(3, np.float32), np.arange(2))], [("<f4", (3,))])


def bench_of(runner: Runner, tmp_path: Path, cores: tuple[int, ...] | None = None):
    device = LocalDevice(str(tmp_path))
    return own_runner(device, probe(device, None), runner, cores, tmp_path)


FOUR = Procedure(threads=1, min_pairs=4, relative_ci=0.5, time_limit_s=2.0, seed=7)


def test_inputs_go_as_raw_bytes_and_answers_come_as_such(saying, network, tmp_path) -> None:
    # Answers with its own first input, which is given before the comma.
    runner = saying('cat "${3%%,*}" > "$4-0.bin"; echo took 5 ms')
    with bench_of(runner, tmp_path) as bench:
        ((answer,),) = bench.answers(network, 1)
    np.testing.assert_array_equal(answer, np.ones(3, np.float32))


def test_an_answer_of_another_size_is_left_to_be_told_from_torchs(saying, network, tmp_path):
    runner = saying('printf 12345678 > "$4-0.bin"; echo took 5 ms')
    with bench_of(runner, tmp_path) as bench:
        ((answer,),) = bench.answers(network, 1)
    assert answer.shape == (2,)


@pytest.mark.parametrize(
    ("script", "changes", "expected_ns"),
    [
        ("echo took $((4 * $1)) ms", {}, 4e6),  # all of them together
        ("echo all $1 in $((2000 * $1)) us", {"pattern": r"in (?P<us>\d+) us"}, 2e6),
        # Each by itself, the first of them cold.
        (
            "echo took 900 ms; for _ in $(seq 2 $1); do echo took 6 ms; done",
            {"time_of": "each"},
            6e6,
        ),
    ],
)
def test_what_the_runner_says_becomes_the_time_of_one_inference(
    saying, network, tmp_path, script: str, changes: dict, expected_ns: float
) -> None:
    with bench_of(saying(script, **changes), tmp_path) as bench:
        calibrated = bench.calibrate(network, 1).median_ns
        assert calibrated.value == pytest.approx(expected_ns)
        assert calibrated.n == 16


def test_pairs_alternate_and_the_peak_is_that_of_the_process(saying, network, tmp_path) -> None:
    slow = tmp_path / "slow.pte"
    slow.write_bytes(b"a slow network")
    log = tmp_path / "log"
    runner = saying(
        f'echo "${{2#*-}}" >> {log}; sleep 0.05\n'
        "case $2 in *slow*) echo took $((30 * $1)) ms ;; *) echo took $((20 * $1)) ms ;; esac"
    )
    with bench_of(runner, tmp_path) as bench:
        figures = bench.figures(Runnable(slow, network.inputs), network, FOUR)
    assert figures.timings.ratios.shape == (4, 1)
    np.testing.assert_allclose(figures.timings.ratios, 1.5)
    assert figures.timings.candidate_repeats == 4  # a tenth of a second, or more
    assert figures.timings.reference_repeats == 5
    assert figures.timings.ended_by == "confidence"
    a, b = "slow.pte", "network.pte"
    timed = log.read_text().split()[2:10]  # after the two that find how often to repeat
    assert timed == [a, b, b, a, a, b, b, a]
    assert len(figures.peak.rise_bytes) == 3
    assert all(100_000 < peak < 50_000_000 for peak in figures.peak.rise_bytes)
    assert figures.noise.involuntary_switches is None


def test_energy_is_the_batterys_power_times_the_runners_time(
    saying, network, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("workers.benches.own_runner._ON_BATTERY_NS", 100_000_000)
    battery = tmp_path / "battery"
    full_of(battery)
    monkeypatch.setattr(
        "workers.benches.own_runner.draw_during", partial(draw_during, folder=str(battery))
    )
    log = tmp_path / "log"
    runner = saying(f"echo $1 >> {log}; sleep 0.2; echo took $((5 * $1)) ms")
    with bench_of(runner, tmp_path) as bench:
        found = bench.optional_figure("energy_mj", network, 1)
        with pytest.raises(MetricNotGiven, match="instruction_count cannot be measured on"):
            bench.optional_figure("instruction_count", network, 1)
    assert found.values == pytest.approx([2_000 * 0.005] * 5)  # 2 W for 5 ms
    assert found.method.startswith("the battery's current x voltage, of the whole device")
    assert log.read_text().split()[2:] == ["20"] * 5  # after those that find how often to repeat


def test_it_is_kept_on_its_cores(saying, network, tmp_path) -> None:
    log = tmp_path / "log"
    runner = saying(f"grep Cpus_allowed_list /proc/self/status > {log}; echo took 5 ms")
    with bench_of(runner, tmp_path, cores=(1,)) as bench:
        bench.calibrate(network, 1)
    assert log.read_text().split() == ["Cpus_allowed_list:", "1"]


@pytest.mark.parametrize(
    ("script", "changes", "error", "told"),
    [
        ("echo no such operator; exit 1", {}, LoadFailed, "refuses network.pte .*such operator"),
        ("kill -SEGV $$", {}, DeviceCommandFailed, "cannot run on .*status 139"),
        ("exit 126", {}, DeviceCommandFailed, "cannot run on .*see `binary` and `command`"),
        ("echo hello", {}, DeviceCommandFailed, "fits 0 times, not 1, .*correct `pattern`"),
        (
            "echo took 1 ms; echo took 1 ms",
            {"time_of": "each"},
            DeviceCommandFailed,
            "fits 2 times, not 1",
        ),
    ],
)
def test_what_goes_wrong_says_whose_fault_it_is(
    saying, network, tmp_path, script: str, changes: dict, error: type[Exception], told: str
) -> None:
    runner = saying(script, **changes)
    with bench_of(runner, tmp_path) as bench, pytest.raises(error, match=f"(?s){told}"):
        bench.calibrate(network, 1)
    assert list(tmp_path.glob("archfront-*")) == []


@pytest.mark.alone
def test_a_whole_measurement_through_the_debug_bridge(phone, tmp_path: Path) -> None:
    """By a runner that has torch's answers from us, and so needs no runtime."""
    serial, options = phone
    torch.manual_seed(0)
    network, inputs = nn.Linear(64, 8), [(torch.randn(1, 64),)]
    with torch.no_grad():
        network(*inputs[0]).numpy().tofile(tmp_path / "torchs.bin")
    binary = tmp_path / "said"
    binary.write_text(
        f'#!/bin/sh\ncp {tmp_path}/torchs.bin "$4-0.bin"; sleep 0.02; echo took $((7 * $1)) ms\n'
    )
    entry = AdbEntry.model_validate(
        {
            "kind": "adb",
            "targets": ["phone"],
            "serial": serial,
            "server_port": int(options[1]),
            "device": "phone-1",
            "scratch_folder": str(tmp_path),
            "cores": [0],
            "runners": [
                {
                    "runtime": "onnxruntime",
                    "version": "1.22.0",
                    "binary": str(binary),
                    "command": "{runner} {runs} {network} {inputs} {outputs}",
                    "pattern": r"took (?P<ms>[\d.]+) ms",
                }
            ],
        }
    )
    work = tmp_path / "work"
    work.mkdir()
    settings = MeasurementSettings(min_pairs=16, relative_ci=0.5, time_limit_s=2.0)
    with open_bench(entry, "phone-1", OnnxRuntime(), work) as bench:
        found = measure(
            network, inputs, settings, OnnxRuntime(), bench, tmp_path / "cache", work, 0
        )
    assert found.metrics["latency_ms"].mean == pytest.approx(7.0)
    assert found.metrics["latency_ms"].n == 16
    assert found.metrics["peak_memory_bytes"].mean > 100_000
    assert found.protocol["clock"] == "wall_time_of_runner"
    assert found.protocol["runtime_version"] == "1.22.0"
    assert found.protocol["pinned_cores"] == [0]
    assert found.protocol["agreement_worst_relative_error"] == 0.0
    with (
        pytest.raises(GrantRefused, match="now phone-1, but was phone-2"),
        open_bench(entry, "phone-2", OnnxRuntime(), work),
    ):
        pass
    with (
        pytest.raises(RuntimeMissing, match="no runner of 'openvino' for phone"),
        open_bench(entry, "phone-1", find_runtime("openvino"), work),
    ):
        pass
