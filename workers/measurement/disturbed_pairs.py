"""Counts the pairs that something befell, and says which of them are to be timed again."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from workers.measurement.disturbance import Disturbance, Watch

PAIRS_PER_ROUND = 8

MOST_REPEATS_IN_ROUND = PAIRS_PER_ROUND
"""So many pairs of a round are set aside at most, and of all rounds as many as `min_pairs`, and
none once half the time limit is over, or where hardly a pair is left alone."""

_IN_VAIN = 0.75  # of all pairs so far disturbed: to repeat one takes time from the others


@dataclass(frozen=True)
class DisturbedPairs:
    """pairs: so many; and how many of them each disturbance befell, maybe one of them several."""

    pairs: int
    preempted: int
    waited: int
    stolen: int
    throttled: int
    clock_changed: int


NO_PAIRS = DisturbedPairs(0, 0, 0, 0, 0, 0)


class SettingAside:
    """Decides of each disturbed pair whether it is timed again, and keeps count.

    watch: of the cores that the measuring thread is on; set anew when it moves.
    most_repeats: of all rounds. may_repeat: whether there is time to.
    """

    def __init__(
        self, watch: Watch, most_repeats: int, may_repeat: Callable[[], bool] = lambda: True
    ) -> None:
        self.watch = watch
        self._left = most_repeats
        self._may_repeat = may_repeat
        self._looks = 0
        self._set_aside: list[tuple[Disturbance, ...]] = []
        self._counted: list[tuple[Disturbance, ...]] = []

    def sets_aside(self, found: tuple[Disturbance, ...], repeats_in_round: int) -> bool:
        """Whether a pair that this befell is to be timed again."""
        self._looks += 1
        if not found:
            return False
        again = (
            self._left > 0
            and repeats_in_round < MOST_REPEATS_IN_ROUND
            and not self._is_in_vain()
            and self._may_repeat()
        )
        self._left -= again
        (self._set_aside if again else self._counted).append(found)
        return again

    def _is_in_vain(self) -> bool:
        disturbed = len(self._set_aside) + len(self._counted)
        return self._looks > PAIRS_PER_ROUND and disturbed > _IN_VAIN * self._looks

    def set_aside(self) -> DisturbedPairs:
        """Those timed again."""
        return _summed_up(self._set_aside)

    def counted(self) -> DisturbedPairs:
        """Those that count nevertheless."""
        return _summed_up(self._counted)


def _summed_up(pairs: list[tuple[Disturbance, ...]]) -> DisturbedPairs:
    counts = Counter(one for found in pairs for one in found)
    return DisturbedPairs(
        pairs=len(pairs),
        preempted=counts["preempted"],
        waited=counts["waited"],
        stolen=counts["stolen"],
        throttled=counts["throttled"],
        clock_changed=counts["clock_changed"],
    )
