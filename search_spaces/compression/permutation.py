"""Orders a layer's input channels so that 2:4 takes less of its magnitude away.

[Pool2021] Pool & Yu, Channel Permutations for N:M Sparsity, NeurIPS 2021: greedy swaps of
    channels between groups of four, with escapes from local optima by random swaps.

The order of channels means nothing to a network as long as whoever makes them keeps the same
order (`channel_groups`), so that this costs nothing at inference.

Shape legend: R rows (outputs, kernel positions and layers together), C channels.
"""

import torch
from torch import Tensor

_LEAST_GAIN = 1e-9  # relative to all magnitude; less is rounding, and could go on for ever
_SHAKEN_PAIRS = 4  # swapped at random by one escape


def kept_magnitude(scores: Tensor) -> float:
    """What 2:4 along the last axis keeps: the sum of the two largest of every four.

    scores: R x C, at least 0, C divisible by 4.
    """
    fours = scores.double().reshape(-1, 4)
    return float(fours.topk(2, dim=1).values.sum())


class _Swaps:
    """Channels in their present order, and what each swap of two of them would gain."""

    def __init__(self, scores: Tensor, order: Tensor) -> None:
        self.order = order.clone()
        self._columns = scores[:, order].double()  # R x C, in the present order
        channels = len(order)
        groups = torch.arange(channels) // 4
        self._same_group = groups.unsqueeze(0) == groups.unsqueeze(1)
        # C x C: what the group of p keeps if q stands in the place of p
        self._kept = torch.empty(channels, channels, dtype=torch.float64)
        self._renew(range(channels // 4))

    def _renew(self, groups: range | list[int]) -> None:
        for group in groups:
            first = 4 * group
            for place in range(first, first + 4):
                others = [other for other in range(first, first + 4) if other != place]
                # of the three that stay the largest is kept, and the second or the newcomer
                top = self._columns[:, others].topk(2, dim=1).values
                newcomers = torch.maximum(top[:, 1:], self._columns)  # R x C
                self._kept[place] = top[:, 0].sum() + newcomers.sum(dim=0)

    @property
    def magnitude(self) -> float:
        return float(self._kept.diagonal()[::4].sum())

    def best(self) -> tuple[int, int, float]:
        """The two places whose swap gains most, and how much."""
        own = self._kept.diagonal()
        gains = self._kept + self._kept.T - own.unsqueeze(0) - own.unsqueeze(1)
        gains[self._same_group] = -torch.inf
        flat = int(gains.argmax())
        one, other = divmod(flat, len(own))
        return one, other, float(gains[one, other])

    def swap(self, one: int, other: int) -> None:
        for columns in (self._columns, self._kept):
            columns[:, [one, other]] = columns[:, [other, one]]
        self.order[[one, other]] = self.order[[other, one]]
        self._renew([one // 4, other // 4])


def _climb(swaps: _Swaps, least: float, max_swaps: int) -> int:
    """Swaps as long as that gains; how many it took."""
    for number in range(max_swaps):
        one, other, gain = swaps.best()
        if gain <= least:
            return number
        swaps.swap(one, other)
    return max_swaps


def find_permutation(
    scores: Tensor, generator: torch.Generator, max_swaps: int = 200, escapes: int = 2
) -> Tensor:
    """The order of channels, C int64: at place p stands the channel `order[p]` of before.

    scores: R x C, at least 0, C divisible by 4; all rows of all layers that read the channels.
    max_swaps: in all, escapes included: the time it takes is about that times 8 R C.
    escapes: how often it goes on from a random disturbance of the best order [Pool2021].
    Never worse than the order that is given. Raises: ValueError if C does not divide by 4.
    """
    channels = scores.shape[1]
    if channels % 4:
        raise ValueError(f"2:4 needs channels divisible by 4, got {channels}")
    best = torch.arange(channels)
    if channels == 4:
        return best
    least = _LEAST_GAIN * float(scores.double().sum())
    swaps = _Swaps(scores, best)
    left = max_swaps - _climb(swaps, least, max_swaps)
    best, kept = swaps.order, swaps.magnitude
    for _ in range(escapes):
        if left <= _SHAKEN_PAIRS:
            break
        swaps = _Swaps(scores, best)
        for _ in range(_SHAKEN_PAIRS):
            one, other = torch.randperm(channels, generator=generator)[:2].tolist()
            swaps.swap(one, other)
        left -= _SHAKEN_PAIRS
        left -= _climb(swaps, least, left)
        if swaps.magnitude > kept + least:
            best, kept = swaps.order, swaps.magnitude
    return best
