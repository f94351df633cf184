"""Independent random arms: the simplest baseline."""

import numpy as np

from search_spaces.arm import Arm
from service.optimizer.axes import axes_of, from_units
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.optimizer.sobol import new_arms

_MAX_DRAWN = 1_000


class RandomOptimizer:
    """Draws every coordinate uniformly, whatever was measured."""

    name = "random"

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """New legal arms; those that may be replaced first, since no other is better.

        Raises: SearchSpaceExhausted.
        """
        kept = [arm for arm in request.replaceable if request.space.contains(arm)][: request.count]
        arms = kept + self._drawn(request, kept)
        return [Suggestion(arm=arm, source=self.name) for arm in arms]

    @staticmethod
    def _drawn(request: SuggestRequest, kept: list[Arm]) -> list[Arm]:
        axes = axes_of(request.space)
        rng = np.random.default_rng((request.seed, request.arms_so_far + len(kept)))
        seen = {arm.signature for arm in (*request.known_arms, *kept)}
        found: list[Arm] = []
        missing = request.count - len(kept)
        for _ in range(_MAX_DRAWN if axes and missing else 0):
            arm = from_units(request.space, axes, rng.random(len(axes)).tolist())
            if arm.signature not in seen and request.space.contains(arm):
                seen.add(arm.signature)
                found.append(arm)
                if len(found) == missing:
                    break
        if missing and not found and not kept:  # a small, or a narrowly constrained space
            found = new_arms(
                request.space, request.known_arms, missing, request.seed, request.arms_so_far
            )
        return found
