"""Cores are chosen by speed and quiet, and given back."""

import os
import time

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
        assert cores.now == (2,)
        assert os.sched_getaffinity(0) == {2}
    assert os.sched_getaffinity(0) == {0, 2, 3}


def test_of_equally_quiet_cores_the_highest_are_taken(four_cores: dict[int, int]) -> None:
    with pinned(2) as cores:
        assert cores.now == (2, 3)


def test_a_quick_core_is_preferred_to_a_quiet_one(
    four_cores: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinning, "_top_frequency_khz", lambda core: 3_000 if core == 0 else 1_800)
    four_cores[0] = 50
    with pinned(1) as cores:
        assert cores.now == (0,)


def test_more_threads_than_cores_are_refused(four_cores: dict[int, int]) -> None:
    with (
        pytest.raises(GrantRefused, match=r"measurement\.threads is 4, .* may use 3 cores"),
        pinned(4),
    ):
        pass


def test_this_process_is_pinned_for_real() -> None:
    before = os.sched_getaffinity(0)
    with pinned(1) as cores:
        assert cores.now is not None
        assert os.sched_getaffinity(0) == set(cores.now) <= before
    assert os.sched_getaffinity(0) == before


def test_ticks_of_every_core_are_read() -> None:
    assert set(pinning._busy_ticks()) >= os.sched_getaffinity(0)


def test_it_moves_to_the_quickest_core_of_now(
    four_cores: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    paces = {0: 60_000.0, 2: 95_000.0, 3: 90_000.0}

    def take() -> float:
        (core,) = os.sched_getaffinity(0)
        time.sleep(paces[core] / 1e7)
        return paces[core]

    monkeypatch.setattr(pinning, "take_pace_ns", take)
    with pinned(1) as cores:
        assert cores.now == (3,)
        assert (cores.move(), cores.now) == (60_000, (0,))
        paces[0] = 200_000
        assert cores.pace_ns() == 200_000
        assert (cores.move(), cores.now) == (90_000, (3,))
        assert os.sched_getaffinity(0) == {3}
        assert cores.taken == (0, 3)
    assert os.sched_getaffinity(0) == {0, 2, 3}


def test_a_core_that_others_of_this_host_are_on_is_not_quick(
    four_cores: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def take() -> float:
        time.sleep(0.03 if os.sched_getaffinity(0) == {3} else 0.01)  # while it has to wait there
        return 60_000

    monkeypatch.setattr(pinning, "take_pace_ns", take)
    with pinned(1) as cores:
        cores.move()
        assert cores.now != (3,)


def test_several_threads_stay_where_they_are_and_are_as_slow_as_the_slowest(
    four_cores: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    paces = {0: 50_000.0, 2: 60_000.0, 3: 90_000.0}
    monkeypatch.setattr(pinning, "take_pace_ns", lambda: paces[min(os.sched_getaffinity(0))])
    with pinned(2) as cores:
        assert (cores.move(), cores.now) == (90_000, (2, 3))
        assert os.sched_getaffinity(0) == {2, 3}


def test_a_slow_kind_of_core_is_no_choice_where_there_is_a_quick_one(
    four_cores: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinning, "_top_frequency_khz", lambda core: 1_800 if core == 0 else 3_000)
    monkeypatch.setattr(pinning, "take_pace_ns", lambda: 60_000.0)
    with pinned(1) as cores:
        for _ in range(20):
            cores.move()
        assert cores.taken is not None
        assert 0 not in cores.taken
    with pinned(3) as cores:
        assert cores.now == (0, 2, 3)
