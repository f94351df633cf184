"""Whether a series has settled, by a test for trend and not by a count.

The test is Mann and Kendall's [Mann1945]: of all pairs of values, do more rise than fall than
chance lets? It asks nothing of their distribution, and one wild value moves it little.

[Mann1945] Mann: Nonparametric tests against trend. Econometrica 13, 1945.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

WINDOW = 6
"""So many newest values are tested: the fewest of which a trend can be told from chance."""

LEVEL = 0.1
"""A window whose trend chance would make more rarely has not settled."""


@dataclass(frozen=True)
class Settling:
    """values: all that were taken; has_settled: the last `WINDOW` of them show no trend."""

    values: tuple[float, ...]
    has_settled: bool

    @property
    def window(self) -> tuple[float, ...]:
        """The last values."""
        return self.values[-WINDOW:]


def take_until_settled(take: Callable[[], float], most: int) -> Settling:
    """Takes values until the last `WINDOW` show no trend, but no more than `most`.

    Raises: ValueError if `most` is too few for one window.
    """
    if most < WINDOW:
        raise ValueError(f"most is {most}; the test needs {WINDOW} values")
    values = [take() for _ in range(WINDOW)]
    while trend_probability(values[-WINDOW:]) < LEVEL:
        if len(values) >= most:
            return Settling(tuple(values), has_settled=False)
        values.append(take())
    return Settling(tuple(values), has_settled=True)


def trend_probability(values: Sequence[float]) -> float:
    """How probably values without trend show as strong a one, up or down; 1 for fewer than two.

    Exact where no two values are equal, else larger than it should be: ties hide a trend.
    Meant for some ten values: it counts the orders that they could have come in.
    """
    rises = sum((b > a) - (b < a) for a, b in combinations(values, 2))
    pairs = math.comb(len(values), 2)
    orders = _orders_by_inversions(len(values))
    # Among n values in order, k inversions make a sum of signs of pairs - 2 k.
    as_strong = sum(
        count
        for inversions, count in enumerate(orders)
        if abs(pairs - 2 * inversions) >= abs(rises)
    )
    return as_strong / math.factorial(len(values))


@cache
def _orders_by_inversions(count: int) -> tuple[int, ...]:
    """How many orders of so many values have 0, 1, 2 ... pairs the wrong way round."""
    orders = [1]
    for size in range(2, count + 1):
        longer = [0] * (len(orders) + size - 1)
        for shift in range(size):
            for inversions, number in enumerate(orders):
                longer[inversions + shift] += number
        orders = longer
    return tuple(orders)
