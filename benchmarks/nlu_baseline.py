"""Trains the command encoder's baseline and seven variants; prints the table of its README.

    python -m benchmarks.nlu_baseline --seeds 3

One thread; frame error is over the test commands, spread is max - min over the seeds, CPU
seconds are of training and evaluation together.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import torch

from benchmarks.training import train_through
from search_spaces.arm import Arm
from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from search_spaces.language.nlu_encoder.training import recipe
from search_spaces.parameters import ParameterValue
from search_spaces.recipe import TrainingContext

_VARIANTS: dict[str, Mapping[str, ParameterValue | None]] = {
    "baseline": {},
    "2 layers, 2 convolutions, larger embedding": {
        "layers": 2,
        "conv_layers": 2,
        "head_dim": 16,
        "embedding_dim": 96,
        "embedding_buckets": 8192,
    },
    "1 layer of width 64": {"layers": 1, "width": 64, "head_dim": 16, "embedding_dim": 32},
    "1 layer of width 32, no convolution": {
        "layers": 1,
        "width": 32,
        "heads": 1,
        "head_dim": 8,
        "embedding_dim": 16,
        "conv_layers": 0,
        "conv_kernel": None,
        "ffn_ratio": 1.0,
    },
    "baseline, 1 layer dropped (angular)": {"dropped_layers": 1, "drop_criterion": "angular"},
    "baseline, half the heads and neurons": {
        "attention_pruning": "heads",
        "attention_sparsity": 0.5,
        "ffn_pruning": "neurons",
        "ffn_sparsity": 0.5,
    },
    "baseline, 90 % zeros in ffn, 2:4 in attention": {
        "ffn_pruning": "unstructured",
        "ffn_sparsity": 0.9,
        "attention_pruning": "two_of_four",
        "sparsity_schedule": "cubic",
    },
    "baseline, pruned to the bone": {
        "dropped_layers": 2,
        "drop_criterion": "last",
        "attention_pruning": "heads",
        "attention_sparsity": 0.75,
        "ffn_pruning": "neurons",
        "ffn_sparsity": 0.9,
        "embedding_sparsity": 0.9,
        "recovery_share": 0.2,
        "recovery_lr_ratio": 0.2,
    },
}


def _arm(changes: Mapping[str, ParameterValue | None]) -> Arm:
    given = {**SEARCH_SPACE.baseline.parameters, **changes}
    return SEARCH_SPACE.space.canonical({k: v for k, v in given.items() if v is not None})


def main() -> None:
    """Prints one line of a Markdown table per variant as soon as it is trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="trainings per variant")
    parser.add_argument("--cache", type=Path, help="folder for the drawn commands")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| arm | frame error, median (spread) | weights | not zero | CPU s |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        cache = given.cache or Path(folder)
        for name, changes in _VARIANTS.items():
            arm, errors, seconds = _arm(changes), [], []
            for seed in range(given.seeds):
                start = time.process_time()
                trained = train_through(recipe(), arm, TrainingContext(seed, cache, Path(folder)))
                seconds.append(time.process_time() - start)
                errors.append(trained.metrics["frame_error"].mean)
            weights = list(trained.network.parameters())
            total = sum(weight.numel() for weight in weights)
            nonzero = sum(int(weight.count_nonzero()) for weight in weights)
            print(
                f"| {name} | {median(errors):.3f} ({max(errors) - min(errors):.3f}) "
                f"| {total:,} | {nonzero:,} | {median(seconds):.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
