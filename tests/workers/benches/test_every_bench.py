"""What every bench must do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from workers.benches.bench import Bench
from workers.errors import MetricNotGiven
from workers.measurement.on_device import Procedure
from workers.measurement.reference import reference_runnable
from workers.measurement.reference_network import build_reference, reference_input
from workers.measurement.runnable import Runnable
from workers.runtimes.errors import LoadFailed
from workers.runtimes.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.alone

QUICK = Procedure(threads=1, min_pairs=8, relative_ci=0.5, time_limit_s=2.0, seed=7)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Runnable:
    folder = tmp_path_factory.mktemp("reference")
    exported = OnnxRuntime().export(build_reference(), reference_input(), folder)
    return reference_runnable(exported.path)


def test_it_answers_as_torch_does(bench: Bench, reference: Runnable) -> None:
    with torch.no_grad():
        expected = build_reference()(*reference_input()).numpy()
    forms = [(expected.dtype.str, expected.shape)]
    twice = Runnable(reference.path, [*reference.inputs, *reference.inputs], forms)
    answers = bench.answers(twice, 1)
    assert len(answers) == 2
    for (answer,) in answers:
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_it_calibrates_and_takes_every_figure(bench: Bench, reference: Runnable) -> None:
    calibrated = bench.calibrate(reference, 1).median_ns
    assert 10_000 < calibrated.value < 100_000_000
    figures = bench.figures(reference, reference, QUICK)
    # The network against itself.
    assert np.median(figures.timings.ratios) == pytest.approx(1, rel=0.2)
    assert figures.timings.ratios.size >= QUICK.min_pairs  # and so many more as its span holds
    assert 0.2 < np.median(figures.timings.wall_ns) / calibrated.value < 5
    # In turn on the calmest that there were.
    assert figures.cores is None or len(figures.cores) >= 1
    assert figures.timings.paces_ns.shape == figures.timings.ratios.shape[:1]
    assert len(figures.peak.rise_bytes) == 3
    assert min(figures.peak.rise_bytes) > 0
    assert figures.noise.load_average >= 0
    assert bench.clock(1).endswith("time") or bench.clock(1) == "wall_time_of_runner"
    assert bench.runtime_version() == OnnxRuntime().version()
    assert bench.profile.cores >= 1


def test_a_network_that_the_runtime_refuses_is_the_arms_fault(
    bench: Bench, reference: Runnable, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no network")
    with pytest.raises(LoadFailed, match=r"refuses .*damaged\.onnx|damaged\.onnx .*refuse"):
        bench.answers(Runnable(damaged, reference.inputs), 1)


def test_an_optional_metric_that_it_cannot_give_is_refused(
    bench: Bench, reference: Runnable
) -> None:
    with pytest.raises(MetricNotGiven, match="colour cannot be measured on"):
        bench.optional_figure("colour", reference, 1)
