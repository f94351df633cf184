"""Prunes one model and recovers it, on given responses or on self-distilled ones.

Each seed has a model, a fine-tuning set and tests of its own. On a seed all arms lose the same
blocks, and see the same instructions in the same order for the same number of steps; they differ in
the responses alone. The fine-tuning set is of one task of five; all five are tested, on letters
that no training saw. Merged networks are halfway between two, of which the other was recovered on a
second task; since they were trained twice as long, so is another that is not merged.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.training import train_through
from search_spaces.arm import Arm
from search_spaces.language.depth_pruned_llm.letter_world import load_world
from search_spaces.language.depth_pruned_llm.space import SEARCH_SPACE
from search_spaces.language.depth_pruned_llm.training import DepthPrunedRecipe
from search_spaces.language.depth_pruned_llm.world import choose_blocks, pruned_copy
from search_spaces.parameters import ParameterValue
from search_spaces.recipe import TrainedNetwork, TrainingContext

SIZES = (100, 400, 1600)
"""Exchanges in the fine-tuning set."""

LARGEST = max(SIZES)

RATES = (1e-4, 3e-4)
"""Learning rates. Of these and 1e-3, on seeds 100 to 102, the first is the best for given
responses, the second for self-distilled ones: neither is compared at the other's rate alone."""

NOT_RECOVERED = "not recovered"
ARMS = ("given", "self_distilled")

MERGED, LONGER = "merged", "trained twice as long"
_VARIANTS: Mapping[str, Mapping[str, ParameterValue]] = {
    "": {},
    MERGED: {"merging": "slerp", "merge_share": 0.5},
    LONGER: {"seen_exchanges": 2 * int(SEARCH_SPACE.baseline.parameters["seen_exchanges"])},
}
"""What the arm differs in besides, by what it is called."""


@dataclass(frozen=True)
class Case:
    """One network: `responses` says what it was fine-tuned on, `exchanges` on how many.

    variant: `MERGED`, `LONGER`, or neither.
    """

    seed: int
    responses: str
    exchanges: int = 0
    learning_rate: float = RATES[0]
    variant: str = ""

    @property
    def name(self) -> str:
        """Under which it is kept."""
        parts = [self.responses, str(self.exchanges), f"{self.learning_rate:g}", self.variant]
        return ", ".join([*filter(None, parts), f"seed {self.seed}"])

    @property
    def arm(self) -> Arm:
        """The baseline of the search space but for what the case is about."""
        given = dict(SEARCH_SPACE.baseline.parameters)
        if self.responses != NOT_RECOVERED:
            given |= {
                "responses": self.responses,
                "exchanges": self.exchanges,
                "learning_rate": self.learning_rate,
                **_VARIANTS[self.variant],
            }
        return SEARCH_SPACE.space.canonical(given)


@dataclass(frozen=True)
class Outcome:
    """figures: the space's metrics by name; notes: of the training; cpu_s: all it took here."""

    figures: Mapping[str, float]
    notes: Mapping[str, str | int | float | bool]
    cpu_s: float


def cases(seeds: Sequence[int]) -> Iterator[Case]:
    """Both kinds of responses at the largest size, at the others, the other rate, and merged."""
    for seed in seeds:
        yield Case(seed, NOT_RECOVERED)
        yield from (Case(seed, responses, LARGEST) for responses in ARMS)
    for seed in seeds:
        for exchanges in sorted(SIZES)[:-1]:
            yield from (Case(seed, responses, exchanges) for responses in ARMS)
        yield from (Case(seed, responses, LARGEST, RATES[1]) for responses in ARMS)
        for rate in RATES:
            for responses in ARMS:
                yield Case(seed, responses, LARGEST, rate, LONGER)
                yield Case(seed, responses, LARGEST, rate, MERGED)


def run(case: Case, cache_folder: Path, max_steps: int | None = None) -> Outcome:
    """Works the case off; the unpruned model of a seed is brought up by its first case."""
    started_s = time.process_time()
    world = load_world(cache_folder, case.seed, max_steps)
    if case.responses == NOT_RECOVERED:
        removed = choose_blocks(world, case.arm)
        figures = world.metrics_of(pruned_copy(world, removed))
        notes: Mapping[str, str | int | float | bool] = {
            "removed_blocks": ",".join(map(str, removed)),
            **world.notes(),
        }
    else:
        trained = _trained(case, cache_folder, max_steps)
        figures, notes = trained.metrics, trained.notes
    return Outcome(
        figures={name: estimate.mean for name, estimate in figures.items()},
        notes=notes,
        cpu_s=time.process_time() - started_s,
    )


def _trained(case: Case, cache_folder: Path, max_steps: int | None) -> TrainedNetwork:
    with tempfile.TemporaryDirectory() as folder:
        context = TrainingContext(case.seed, cache_folder, Path(folder), max_steps)
        return train_through(DepthPrunedRecipe(world_seed=case.seed), case.arm, context)
