"""Whether an untrained network measures like the trained one: the claim of `measures_untrained`.

    python -m benchmarks.untrained --arms 4

Each arm is trained for real, then both networks, the trained one and the one with weights of no
meaning, are measured three times in turn. Prints the table of untrained.md.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from search_spaces.arm import Arm
from search_spaces.recipe import Recipe, TrainingContext
from search_spaces.registry import installed_registry
from service.domain.device import MeasurementSettings
from service.optimizer.sobol import new_arms
from workers.measurement.measure import measure
from workers.training.loop import run_training
from workers.training.scattered_weights import scatter_weights
from workers.training.seeding import seed_everything

_INPUTS = 8
_ROUNDS = 3
_SETTINGS = MeasurementSettings(time_limit_s=6.0)


@dataclass(frozen=True)
class Compared:
    """The latencies of one arm in ms, and the sizes of its files in bytes, both ways."""

    number: int
    trained_ms: tuple[float, ...]
    untrained_ms: tuple[float, ...]
    trained_bytes: float
    untrained_bytes: float

    @property
    def ratio(self) -> float:
        """Untrained to trained, of the medians."""
        return median(self.untrained_ms) / median(self.trained_ms)

    @property
    def spread(self) -> float:
        """How far the trained network's own figures lie apart, as a share of their median."""
        return (max(self.trained_ms) - min(self.trained_ms)) / median(self.trained_ms)


def compare(number: int, arm: Arm, recipe: Recipe, cache: Path, folder: Path) -> Compared:
    """Trains the arm and measures it with and without its weights, in turn."""
    seed_everything(number)
    context = TrainingContext(seed=number, cache_folder=cache, work_folder=folder)
    end = run_training(recipe, arm, context, on_point=lambda _: None, stop_requested=lambda: False)
    if end.trained is None:
        raise RuntimeError(f"the training of arm {number} was stopped; nobody may stop it here")
    untrained = recipe.build(arm)
    scatter_weights(untrained, number)
    networks = {"trained": end.trained.network, "untrained": untrained}
    inputs = recipe.example_inputs(arm, _INPUTS, context)
    latencies: dict[str, list[float]] = {name: [] for name in networks}
    sizes: dict[str, float] = {}
    for turn in range(_ROUNDS):
        for name, network in networks.items():
            found = measure(network, inputs, _SETTINGS, cache, folder, turn).metrics
            latencies[name].append(found["latency_ms"].mean)
            sizes[name] = found["file_size_bytes"].mean
    return Compared(
        number,
        tuple(latencies["trained"]),
        tuple(latencies["untrained"]),
        sizes["trained"],
        sizes["untrained"],
    )


def main() -> None:
    """Prints a row per arm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=4)
    parser.add_argument("--space", default="nlu_encoder")
    parser.add_argument("--cache-folder", type=Path, default=Path.home() / ".cache" / "archfront")
    given = parser.parse_args()
    torch.set_num_threads(1)
    installed = installed_registry().find(given.space)
    recipe = installed.load_recipe()
    print("| arm | trained, ms | untrained, ms | ratio | spread of the trained | file, bytes |")
    print("|---|---|---|---|---|---|")
    ratios = []
    for number, arm in enumerate(new_arms(installed.space.space, (), given.arms, 1, 0)):
        with tempfile.TemporaryDirectory() as folder:
            found = compare(number, arm, recipe, given.cache_folder, Path(folder))
        ratios.append(found.ratio)
        print(
            f"| {number} | {median(found.trained_ms):.4f} | {median(found.untrained_ms):.4f} "
            f"| {found.ratio:.3f} | {100 * found.spread:.1f} % "
            f"| {found.trained_bytes:.0f} / {found.untrained_bytes:.0f} |",
            flush=True,
        )
    print(f"\nMedian ratio {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}).")


if __name__ == "__main__":
    main()
