"""Cores are chosen by speed and quiet, and given back."""

import os

import pytest

from workers.errors import GrantRefused
from workers.measurement import pinning
from workers.measurement.pinning import pinned

pytestmark = pytest.mark.alone


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """Cores 0 to 3, allowed are all but 1; gives the ticks each is busy while one looks."""
    busy = dict.fromkeys(range(4), 0)
    looks = 0

    def ticks() -> dict[int, int]:
        nonlocal looks
        looks += 1
        return {core: 100 * core + looks * ticks for core, ticks in busy.items()}

    pinned_to: list[set[int]] = [{0, 2, 3}]
    monkeypatch.setattr(pinning, "_busy_ticks", ticks)
    monkeypatch.setattr(pinning, "_top_frequency_khz", lambda core: 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: pinned_to[-1])
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: pinned_to.append(set(cores)))
    return busy


def test_the_quietest_core_is_taken_and_all_are_given_back(four_cores: dict[int, int]) -> None:
    four_cores.update({0: 4, 2: 1, 3: 5})
    with pinned(1) as cores:
        assert cores == (2,)
        assert os.sched_getaffinity(0) == {2}
    assert os.sched_getaffinity(0) == {0, 2, 3}


def test_of_equally_quiet_cores_the_highest_are_taken(four_cores: dict[int, int]) -> None:
    with pinned(2) as cores:
        assert cores == (2, 3)


def test_a_quick_core_is_preferred_to_a_quiet_one(
    four_cores: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinning, "_top_frequency_khz", lambda core: 3_000 if core == 0 else 1_800)
    four_cores[0] = 50
    with pinned(1) as cores:
        assert cores == (0,)


def test_more_threads_than_cores_are_refused(four_cores: dict[int, int]) -> None:
    with (
        pytest.raises(GrantRefused, match=r"measurement\.threads is 4, .* may use 3 cores"),
        pinned(4),
    ):
        pass


def test_this_process_is_pinned_for_real() -> None:
    before = os.sched_getaffinity(0)
    with pinned(1) as cores:
        assert cores is not None
        assert os.sched_getaffinity(0) == set(cores) <= before
    assert os.sched_getaffinity(0) == before


def test_ticks_of_every_core_are_read() -> None:
    assert set(pinning._busy_ticks()) >= os.sched_getaffinity(0)
