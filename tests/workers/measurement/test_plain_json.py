import json

import numpy as np
import pytest

from workers.measurement.disturbed_pairs import NO_PAIRS, DisturbedPairs
from workers.measurement.noise import Noise
from workers.measurement.on_device import Figures
from workers.measurement.pair_timings import PairTimings
from workers.measurement.peak_memory import PeakMemory
from workers.measurement.plain_json import from_plain, to_plain

FIGURES = Figures(
    timings=PairTimings(
        ratios=np.array([[1.5, 2.25], [0.1, 3.0]]),
        reference_ns=np.array([[5.0, 6.0], [7.0, 8.0]]),
        paces_ns=np.array([60_000.0, np.nan]),
        quickest_pace_ns=np.nan,
        fewest_rounds=2,
        wall_ns=np.array([[1.0, 2.0, 3.0]]),
        candidate_repeats=3,
        reference_repeats=4,
        warm_up_runs=9,
        unsettled_rounds=1,
        watched=("preempted", "stolen"),
        set_aside=DisturbedPairs(2, 1, 0, 1, 0, 0),
        counted=NO_PAIRS,
        ended_by="time_limit",
    ),
    cores=(2, 3),
    noise=Noise(involuntary_switches=4, cpu_pressure_percent=None, load_average=0.25),
    peak=PeakMemory((1, 2, 3), "VmHWM after reset"),
)


def test_figures_come_back_from_a_device_as_they_were() -> None:
    back = from_plain(Figures, json.loads(json.dumps(to_plain(FIGURES))))
    np.testing.assert_array_equal(back.timings.ratios, FIGURES.timings.ratios)
    np.testing.assert_array_equal(back.timings.wall_ns, FIGURES.timings.wall_ns)
    np.testing.assert_array_equal(back.timings.paces_ns, FIGURES.timings.paces_ns)
    assert np.isnan(back.timings.quickest_pace_ns)
    assert back.timings.ratios.dtype == np.float64
    assert (back.cores, back.noise, back.peak) == (FIGURES.cores, FIGURES.noise, FIGURES.peak)
    assert back.timings.ended_by == "time_limit"
    assert back.timings.watched == FIGURES.timings.watched
    assert back.timings.set_aside == FIGURES.timings.set_aside
    assert isinstance(back.cores, tuple)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("cores",), "all", r"Figures\.cores cannot be 'all'"),
        (("cores",), [1, "2"], r"Figures\.cores cannot be '2'"),
        (("noise", "load_average"), True, r"Figures\.noise\.load_average cannot be 'True'"),
        (("timings", "ended_by"), "boredom", r"Figures\.timings\.ended_by cannot be 'boredom'"),
        (("timings", "ratios"), ["x"], "could not convert"),
        (("peak",), {"rise_bytes": [1]}, r"Figures\.peak cannot be"),
    ],
)
def test_what_is_something_else_is_refused_by_name(path, value, told) -> None:
    plain = to_plain(FIGURES)
    place = plain
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=told):
        from_plain(Figures, plain)
