"""The profile of this host, and the key under which its reference is kept."""

import os
from importlib.metadata import version

from workers.measurement.device_profile import profile_this_host


def test_this_host_is_described() -> None:
    profile = profile_this_host()
    assert profile.processor
    assert profile.cores == os.cpu_count()
    assert profile.kernel == os.uname().release
    assert profile.architecture == os.uname().machine
    assert profile.torch == version("torch")


def test_the_key_follows_the_hardware_alone() -> None:
    profile = profile_this_host()
    updated = profile.model_copy(update={"kernel": "99.0", "torch": "9.9", "governor": "x"})
    other = profile.model_copy(update={"processor": "another"})
    assert profile.key == updated.key != other.key
    assert len(profile.key) == 12
