"""The pair protocol: its logic on a made-up device, its promise on real sessions."""

import gc
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tests.workers.measurement.fake_device import FakeDevice
from workers.measurement.disturbed_pairs import PAIRS_PER_ROUND, DisturbedPairs
from workers.measurement.latency import SINGLE_RUNS, time_alone, time_pairs
from workers.measurement.pair_timings import PairTimings, crossed
from workers.measurement.pinning import pinned
from workers.measurement.statistics import QuantileEstimate, estimate_quantile
from workers.measurement.timed_block import Invoke, clocks_for
from workers.runtimes.registry import find_runtime

pytestmark = pytest.mark.alone


def time_fakes(
    device: FakeDevice,
    candidate: Callable[[int], Invoke],
    *,
    reference_ns: float = 250_000,
    min_pairs: int = 64,
    relative_ci: float = 0.01,
    time_limit_s: float = 20,
    span_s: float = 0,
) -> PairTimings:
    return time_pairs(
        candidate,
        lambda _: device.network(reference_ns),
        device.clocks,
        0,
        min_pairs=min_pairs,
        relative_ci=relative_ci,
        time_limit_s=time_limit_s,
        span_s=span_s,
        cores=device,
    )


def test_the_ratio_is_exact_where_nothing_disturbs() -> None:
    device = FakeDevice()
    timings = time_fakes(device, lambda _: device.network(1_500_000))
    assert timings.ratios.shape == (8, PAIRS_PER_ROUND)
    np.testing.assert_array_equal(timings.ratios, 6.0)
    assert timings.ended_by == "confidence"
    assert (timings.candidate_repeats, timings.reference_repeats) == (1, 6)
    assert timings.wall_ns.size >= SINGLE_RUNS
    np.testing.assert_array_equal(timings.wall_ns, 1_500_000)


def test_a_neighbours_load_cancels_out() -> None:
    """The device slows down by half from round to round: the ratios do not move."""
    device = FakeDevice()

    def candidate(index: int) -> Invoke:
        device.load = 1.0 + 0.5 * (index % 2)
        return device.network(1_000_000)

    timings = time_fakes(device, candidate)
    np.testing.assert_allclose(timings.ratios, 4.0)
    assert timings.wall_ns.max() == 1.5 * timings.wall_ns.min()


def test_the_two_take_turns_at_being_loaded_second() -> None:
    """On a device where the second to be loaded is quicker by 5 %."""
    device = FakeDevice()
    loaded: list[str] = []

    def load(name: str) -> Callable[[int], Invoke]:
        def network(_: int) -> Invoke:
            loaded.append(name)
            return device.network(1_000_000 - 50_000 * (len(loaded) % 2 == 0))

        return network

    timings = time_pairs(
        load("candidate"),
        load("reference"),
        device.clocks,
        0,
        min_pairs=64,
        relative_ci=0.01,
        time_limit_s=0,
        cores=device,
    )
    assert loaded[:4] == ["candidate", "reference", "reference", "candidate"]
    np.testing.assert_allclose(timings.ratios[::2], 1 / 0.95)
    np.testing.assert_allclose(timings.ratios[1::2], 0.95)


def test_the_two_take_turns_at_being_timed_second() -> None:
    """On a device that slows down steadily, by a thousandth with each inference."""
    device = FakeDevice()

    def slowing(index: int) -> Invoke:
        device.load = 1.0
        network = device.network(1_000_000)

        def invoke() -> None:
            device.load += 0.001
            network()

        return invoke

    timings = time_pairs(
        slowing,
        slowing,
        device.clocks,
        0,
        min_pairs=64,
        relative_ci=0.01,
        time_limit_s=0,
        cores=device,
    )
    assert (timings.ratios[:, ::2] < 0.999).all()
    assert (timings.ratios[:, 1::2] > 1.001).all()


def test_what_is_slower_after_the_other_network_is_told_by_no_order() -> None:
    """On a device where the first runs after the other network's take a fifth longer."""
    device = FakeDevice()
    lately: list[str] = ["nothing"] * 2

    def load(name: str, inference_ns: float) -> Callable[[int], Invoke]:
        def network(_: int) -> Invoke:
            quick, slow = device.network(inference_ns), device.network(1.2 * inference_ns)

            def invoke() -> None:
                (quick if set(lately) == {name} else slow)()
                del lately[0]
                lately.append(name)

            return invoke

        return network

    timings = time_pairs(
        load("candidate", 9_000_000),
        load("reference", 6_000_000),
        device.clocks,
        0,
        min_pairs=64,
        relative_ci=0.01,
        time_limit_s=0,
        cores=device,
    )
    assert np.ptp(timings.ratios[:, 2:]) > 0.2  # the orders differ
    np.testing.assert_allclose(crossed(timings.ratios)[:, 1:], 1.5)
    median = timings.median_ratio(0)
    assert (median.value, median.n) == (pytest.approx(1.5), timings.ratios.size)
    assert median.sem < 0.01 < 0.1 < estimate_quantile(timings.ratios, 0.5, 0).sem


def test_rounds_of_one_pair_have_nothing_to_be_crossed_with() -> None:
    ratios = np.array([[1.0], [2.0]])
    assert crossed(ratios) is ratios


@pytest.mark.parametrize("slow", [{1, 2}, {0, 1}, {0, 1, 3, 6, 7}])
def test_rounds_in_which_the_reference_is_slow_are_left_out(slow: set[int]) -> None:
    """A neighbour slows the candidate by 84 % and the reference by 69 %."""
    device = FakeDevice()

    def load(calm_ns: float, slow_ns: float) -> Callable[[int], Invoke]:
        return lambda index: device.network(slow_ns if index in slow else calm_ns)

    timings = time_pairs(
        load(1_000_000, 1_840_000),
        load(1_000_000, 1_690_000),
        device.clocks,
        0,
        min_pairs=64,
        relative_ci=0.01,
        time_limit_s=20,
        span_s=0,
        cores=device,
    )
    median = timings.median_ratio(0)
    assert (median.value, median.sem) == (1.0, 0.0)
    assert timings.slow_rounds == len(slow)
    # As many calm rounds are taken as there would be without the others.
    assert len(timings.ratios) == 8 + len(slow)
    assert median.n == 64
    np.testing.assert_allclose(timings.ratios[sorted(slow)], 1.84 / 1.69)


def test_networks_slowed_alike_count_however_slow_the_machine_becomes() -> None:
    """A clock that is lowered by a fifth for good leaves no round out."""
    device = FakeDevice()

    def candidate(index: int) -> Invoke:
        device.load = 1.0 if index < 4 else 1.2
        return device.network(1_000_000)

    timings = time_fakes(device, candidate)
    assert timings.slow_rounds == 0


def test_it_goes_on_for_its_span_though_it_is_sure_before() -> None:
    device = FakeDevice()
    timings = time_fakes(device, lambda _: device.network(1_500_000), span_s=2.0)
    assert timings.ended_by == "confidence"
    assert 2e9 <= device.wall_ns < 2.2e9
    usual = FakeDevice()
    time_pairs(
        lambda _: usual.network(1_500_000),
        lambda _: usual.network(250_000),
        usual.clocks,
        0,
        min_pairs=64,
        relative_ci=0.01,
        time_limit_s=3,
        cores=usual,
    )
    assert 1e9 <= usual.wall_ns < 1.2e9


def test_quick_networks_are_repeated_within_a_block() -> None:
    device = FakeDevice()
    timings = time_fakes(device, lambda _: device.network(20_000))
    assert (timings.candidate_repeats, timings.reference_repeats) == (25, 2)
    np.testing.assert_allclose(timings.ratios, 0.08)


def test_rounds_are_added_until_the_interval_is_narrow() -> None:
    device = FakeDevice()
    random = np.random.default_rng(0)

    def candidate(_: int) -> Invoke:  # each session is dealt a latency of its own
        return device.network(1_000_000 * (1 + 0.05 * random.standard_normal()))

    timings = time_fakes(device, candidate)
    assert len(timings.ratios) > 8
    assert timings.ended_by == "confidence"
    median = timings.median_ratio(0)
    assert median.relative_half_width <= 0.01
    assert len(timings.wall_ns) == 8  # single runs are taken in the first rounds alone


def test_the_time_limit_ends_what_will_not_settle() -> None:
    device = FakeDevice()
    random = np.random.default_rng(0)
    timings = time_fakes(
        device,
        lambda _: device.network(20e6 * (1 + random.random())),
        relative_ci=1e-6,
        time_limit_s=20,
    )
    assert timings.ended_by == "time_limit"
    assert timings.ratios.size > 64
    assert 20e9 <= device.wall_ns < 25e9


def disturbed_every(device: FakeDevice, runs: int) -> Invoke:
    """Every so many runs the core goes away, and the run after it takes twice as long."""
    count = 0
    network = device.network(1_000_000)

    def invoke() -> None:
        nonlocal count
        count += 1
        if count % runs == 0:
            device.disturbances["preempted"] += 1
            network()
        network()

    return invoke


def test_a_disturbed_pair_is_set_aside_and_timed_again() -> None:
    device = FakeDevice()
    timings = time_fakes(device, lambda _: disturbed_every(device, 11))
    np.testing.assert_array_equal(timings.ratios, 4.0)
    assert timings.ratios.shape == (8, PAIRS_PER_ROUND)
    assert timings.set_aside.pairs == timings.set_aside.preempted > 0
    assert timings.set_aside.throttled == 0
    assert timings.counted == DisturbedPairs(0, 0, 0, 0, 0, 0)
    assert not timings.is_noisy
    assert timings.watched == ("preempted", "throttled")


def test_where_it_never_ends_the_pairs_count_as_they_are_and_it_is_told() -> None:
    device = FakeDevice()

    def candidate(_: int) -> Invoke:
        network = device.network(1_000_000)

        def invoke() -> None:
            device.disturbances["throttled"] += 1
            network()

        return invoke

    timings = time_fakes(device, candidate)
    assert timings.ratios.shape == (8, PAIRS_PER_ROUND)
    assert 0 < timings.set_aside.pairs <= PAIRS_PER_ROUND  # then it was plain to be in vain
    assert timings.counted.pairs == timings.counted.throttled == 64
    assert timings.is_noisy


def half_disturbed(device: FakeDevice) -> Invoke:
    """Now and then the core goes away: some half of the pairs see it."""
    random = np.random.default_rng(0)
    network = device.network(1_000_000)

    def invoke() -> None:
        device.disturbances["preempted"] += random.random() < 0.2
        network()

    return invoke


def test_no_more_pairs_are_set_aside_than_wanted() -> None:
    device = FakeDevice()
    timings = time_fakes(device, lambda _: half_disturbed(device), min_pairs=16)
    assert 0 < timings.set_aside.pairs <= 16


def test_no_pair_is_set_aside_once_half_the_time_is_over() -> None:
    device = FakeDevice()
    brief = time_fakes(device, lambda _: half_disturbed(device), time_limit_s=0.2)
    assert 0 < brief.set_aside.pairs < brief.counted.pairs
    device = FakeDevice()
    long = time_fakes(device, lambda _: half_disturbed(device), time_limit_s=20)
    assert long.set_aside.pairs > 2 * brief.set_aside.pairs


def test_single_runs_are_planned_by_the_wall_clock() -> None:
    device = FakeDevice()
    device.preempted_ns = 9_000_000
    timings = time_fakes(device, lambda _: device.network(1_000_000), time_limit_s=20)
    assert timings.wall_ns.size < 520


def test_no_round_wastes_all_the_repeats() -> None:
    device = FakeDevice()

    def candidate(index: int) -> Invoke:
        return disturbed_every(device, 1 if index == 0 else 10_000)

    timings = time_fakes(device, candidate)
    assert 0 < timings.set_aside.pairs <= PAIRS_PER_ROUND
    assert timings.counted.pairs == PAIRS_PER_ROUND
    np.testing.assert_array_equal(timings.ratios[1:], 4.0)


def test_rounds_that_do_not_settle_are_counted() -> None:
    device = FakeDevice()
    timings = time_fakes(
        device, lambda index: device.network(lambda run: 1e6 * 1.01**run if index == 2 else 1e6)
    )
    assert timings.unsettled_rounds == 1


def test_the_fewest_pairs_are_taken_even_beyond_the_time_limit() -> None:
    device = FakeDevice()
    timings = time_fakes(device, lambda _: device.network(1e9), min_pairs=20, time_limit_s=1)
    assert timings.ratios.shape == (3, PAIRS_PER_ROUND)
    assert timings.wall_ns.shape == (3, 4)
    assert timings.candidate_repeats == 1


def test_sessions_of_one_round_are_gone_before_the_next_are_loaded() -> None:
    device = FakeDevice()
    alive: list[int] = []

    class Loaded:
        def __init__(self, run: Invoke) -> None:
            self.run = run
            alive.append(1)

        def __call__(self) -> None:
            self.run()

        def __del__(self) -> None:
            alive.pop()

    def candidate(_: int) -> Invoke:
        assert alive == []
        return Loaded(device.network(1_000_000))

    time_fakes(device, candidate)


def test_garbage_is_collected_between_but_not_within_timings() -> None:
    device = FakeDevice()
    network = device.network(1_000_000)
    enabled: list[bool] = []

    def invoke() -> None:
        enabled.append(gc.isenabled())
        network()

    time_fakes(device, lambda _: invoke)
    assert not any(enabled)
    assert gc.isenabled()


def test_alone_gives_the_median_of_fresh_sessions() -> None:
    device = FakeDevice()
    alone = time_alone(
        lambda index: device.network(250_000 + 1_000 * index),
        device.clocks,
        seed=0,
        rounds=5,
        cores=device,
    )
    assert alone.median_ns.value == 252_000
    assert alone.median_ns.n == 5 * PAIRS_PER_ROUND
    assert np.isnan(alone.pace_ns)


def test_alone_rounds_on_slow_cores_are_repeated() -> None:
    """Slow for a while, which is longer than one waits."""
    device, end_ns = FakeDevice(), 5_030_000_000
    device.pace = lambda wall_ns: 60_000 if wall_ns > end_ns else 90_000
    alone = time_alone(
        lambda _: device.network(250_000 if device.wall_ns > end_ns else 400_000),
        device.clocks,
        seed=0,
        rounds=5,
        cores=device,
        quickest_pace_ns=60_000,
    )
    assert (alone.median_ns.value, alone.median_ns.sem) == (250_000, 0.0)
    assert alone.pace_ns == 60_000
    assert device.moves > 55


def neighbour(device: FakeDevice, period_ns: int, slow_ns: int) -> Callable[[int], Invoke]:
    """Somebody computes beside us for so long at the beginning of each period.

    Gives candidates, which that slows by other factors than the reference, which it leaves alone.
    """

    def is_slow(wall_ns: int) -> bool:
        return wall_ns % period_ns < slow_ns

    def candidate(_: int) -> Invoke:
        calm, slow = device.network(1_000_000), device.network(1_500_000)

        def invoke() -> None:
            now = slow if is_slow(device.wall_ns) else calm
            now()

        return invoke

    device.pace = lambda wall_ns: 90_000 if is_slow(wall_ns) else 60_000
    return candidate


def test_rounds_wait_for_a_calm_core() -> None:
    device = FakeDevice()
    timings = time_fakes(device, neighbour(device, 2_000_000_000, 1_000_000_000), span_s=4)
    assert timings.median_ratio(0).value == pytest.approx(4.0)
    assert not timings.is_noisy
    # Known from the first calm one on; those that began calm and ended slow are left out.
    assert timings.slow_core_rounds <= timings.slow_rounds < len(timings.ratios) / 2
    assert device.moves > len(timings.ratios)
    assert (timings.pace_ns, timings.quickest_pace_ns) == (60_000, 60_000)


def test_where_no_core_is_ever_calm_it_says_that_it_is_noisy() -> None:
    device = FakeDevice()
    candidate = neighbour(device, 10**12, 10**12)
    timings = time_pairs(
        candidate,
        lambda _: device.network(250_000),
        device.clocks,
        0,
        min_pairs=64,
        relative_ci=0.01,
        time_limit_s=10,
        cores=device,
        quickest_pace_ns=60_000,
    )
    assert timings.ended_by == "time_limit"
    assert timings.is_noisy
    assert timings.median_ratio(0).value == pytest.approx(6.0)
    assert len(timings.ratios) >= 8
    assert timings.slow_core_rounds == len(timings.ratios)
    # Half of the time was given to waiting.
    assert device.moves - len(timings.ratios) == pytest.approx(50, abs=2)
    # The device's own: for the next one to judge by.
    assert (timings.pace_ns, timings.quickest_pace_ns) == (90_000, 60_000)


# From here on: ONNX Runtime on this machine, however busy it is.


@pytest.fixture(scope="module")
def ratio_of(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[int, int, int], QuantileEstimate]:
    runtime = find_runtime("onnxruntime")
    sample = (torch.randn(1, 64, 128),)
    paths = {}
    for blocks in (2, 8):
        torch.manual_seed(blocks)
        layers = [layer for _ in range(blocks) for layer in (nn.Linear(128, 128), nn.GELU())]
        folder = tmp_path_factory.mktemp(f"blocks{blocks}")
        paths[blocks] = runtime.export(nn.Sequential(*layers).eval(), sample, folder).path

    def fresh(blocks: int) -> Invoke:
        session = runtime.load(paths[blocks])
        session.prepare(sample)
        return session.invoke

    def ratio(candidate: int, reference: int, seed: int) -> QuantileEstimate:
        with pinned(1):
            timings = time_pairs(
                lambda _: fresh(candidate),
                lambda _: fresh(reference),
                clocks_for(1),
                seed,
                min_pairs=64,
                relative_ci=0.01,
                time_limit_s=3,
            )
        return timings.median_ratio(seed)

    return ratio


def test_four_times_the_layers_take_some_four_times_as_long(
    ratio_of: Callable[[int, int, int], QuantileEstimate],
) -> None:
    ratio = ratio_of(8, 2, 0)
    assert 3 < ratio.value < 5
    assert ratio.sem < 0.1 * ratio.value


def test_a_network_is_as_quick_as_itself(
    ratio_of: Callable[[int, int, int], QuantileEstimate],
) -> None:
    """To 1 % or three errors in at least four of six comparisons, to 5 % in all.

    Where its weights come to lie makes two sessions of one network differ by some tenths of a
    percent, which on a quiet machine is more than the error that one comparison sees.
    """
    ratios = [ratio_of(8, 8, seed) for seed in range(6)]
    equal = [abs(ratio.value - 1) <= max(0.01, 3 * ratio.sem) for ratio in ratios]
    assert sum(equal) >= 4, ratios
    assert all(abs(ratio.value - 1) < 0.05 for ratio in ratios)
