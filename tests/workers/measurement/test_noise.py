"""What else went on is told."""

from pathlib import Path

import pytest

from workers.measurement.noise import NoiseWatch

pytestmark = pytest.mark.alone


def test_noise_is_read_from_this_machine() -> None:
    watch = NoiseWatch()
    noise = watch.read()
    assert noise.involuntary_switches >= 0
    assert noise.load_average >= 0
    assert noise.cpu_pressure_percent is None or 0 <= noise.cpu_pressure_percent <= 100
    assert (noise.cpu_pressure_percent is None) == (not Path("/proc/pressure/cpu").exists())
