"""The pace of this machine's cores, however busy they are."""

import time

import pytest

from workers.measurement import pace
from workers.measurement.pace import take_pace_ns


def test_it_takes_a_millisecond_or_some() -> None:
    start = time.thread_time_ns()
    pace_ns = take_pace_ns()
    assert 5_000 < pace_ns < 5_000_000
    assert 10 * pace_ns < time.thread_time_ns() - start


def test_a_sample_that_is_interrupted_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [70_000, 60_000, 9_000_000, 61_000, 62_000, 63_000] * 2
    ticks = [tick for sample in samples for tick in (0, sample)]
    monkeypatch.setattr(pace.time, "thread_time_ns", lambda: ticks.pop(0))
    assert take_pace_ns() == 61_000


def test_a_clock_too_coarse_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace.time, "thread_time_ns", lambda: 0)
    assert take_pace_ns() != take_pace_ns()
