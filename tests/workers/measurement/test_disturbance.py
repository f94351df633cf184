"""What the kernel tells of a disturbance: made-up files, and this very kernel."""

import threading
import time
from pathlib import Path

import pytest

from workers.measurement.disturbance import WAITED_NS, Disturbance, KernelWatch

pytestmark = pytest.mark.alone

STAT = "cpu  9 0 9 9 0 0 0 {0} 0 0\ncpu0 4 0 4 4 0 0 0 0 0 0\ncpu1 5 0 5 5 0 0 0 {0} 0 0\nctxt 7\n"
CPU = "sys/devices/system/cpu/cpu1"


class Machine:
    """A machine whose kernel's files lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tell("proc/stat", STAT.format(0))
        self.tell("proc/thread-self/schedstat", "1000 2000 3")
        self.tell(f"{CPU}/thermal_throttle/core_throttle_count", "0")
        self.tell(f"{CPU}/cpufreq/scaling_cur_freq", "2000000")
        self.tell("sys/class/thermal/cooling_device0/type", "Fan")
        self.tell("sys/class/thermal/cooling_device0/cur_state", "3")
        self.tell("sys/class/thermal/cooling_device1/type", "cpufreq-cpu1")
        self.tell("sys/class/thermal/cooling_device1/cur_state", "0")

    def tell(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def watch(self, threads: int = 1, cores: tuple[int, ...] = (1,)) -> KernelWatch:
        return KernelWatch(threads, cores, self.folder / "proc", self.folder / "sys")

    def after(self, path: str, text: str) -> set[Disturbance]:
        """What is found, but for preemptions, which are this test's own."""
        watch = self.watch()
        before = watch.look()
        self.tell(path, text)
        return set(watch.between(before, watch.look())) - {"preempted"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("proc/stat", STAT.format(1), "stolen"),
        (f"{CPU}/thermal_throttle/core_throttle_count", "1", "throttled"),
        ("sys/class/thermal/cooling_device1/cur_state", "2", "throttled"),
        (f"{CPU}/cpufreq/scaling_cur_freq", "1900000", "clock_changed"),
    ],
    ids=["stolen", "core throttled", "cooled", "clock changed"],
)
def test_a_disturbance_is_seen(machine: Machine, path: str, text: str, found: Disturbance) -> None:
    assert machine.after(path, text) == {found}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("proc/stat", STAT.format(0)),
        ("proc/thread-self/schedstat", f"9000 {2000 + WAITED_NS} 4"),
        (f"{CPU}/cpufreq/scaling_cur_freq", "2010000"),
        ("sys/class/thermal/cooling_device0/cur_state", "9"),
    ],
    ids=["nothing stolen", "hardly waited", "clock wanders", "fan turns"],
)
def test_what_is_none_is_not(machine: Machine, path: str, text: str) -> None:
    assert machine.after(path, text) == set()


def test_a_wait_is_seen_unless_a_preemption_explains_it(machine: Machine) -> None:
    watch = machine.watch()
    assert watch.watched == ("preempted", "waited", "stolen", "throttled", "clock_changed")
    (switches, delay, *others) = watch.look()
    waited = (switches, delay + WAITED_NS + 1, *others)
    assert watch.between((switches, delay, *others), waited) == ("waited",)
    preempted = (switches + 1, *waited[1:])
    assert watch.between((switches, delay, *others), preempted) == ("preempted",)


def test_while_it_is_throttled_every_pair_is(machine: Machine) -> None:
    machine.tell("sys/class/thermal/cooling_device1/cur_state", "1")
    watch = machine.watch()
    assert "throttled" in watch.between(watch.look(), watch.look())


def test_a_core_that_nobody_was_pinned_to_is_not_watched(machine: Machine) -> None:
    assert machine.watch(cores=(0, 1)).watched == ("preempted", "waited")
    assert "stolen" in machine.watch(threads=2, cores=(0, 1)).watched


def test_a_machine_that_tells_nothing_is_watched_for_preemption_alone(tmp_path: Path) -> None:
    assert KernelWatch(1, (0,), tmp_path, tmp_path).watched == ("preempted",)


def test_this_kernel_takes_the_core_from_one_of_two_that_want_it() -> None:
    """Two threads that count on one interpreter: each waits while the other is at it."""
    ended = threading.Event()
    found: list[Disturbance] = []

    def count() -> None:
        watch = KernelWatch()
        before = watch.look()
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            sum(range(1000))
        found.extend(watch.between(before, watch.look()))
        ended.set()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"preempted", "waited"} & set(found)
