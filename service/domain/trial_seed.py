"""Each trial's own seed, derived from the experiment's."""

import hashlib


def trial_seed(experiment_seed: int, trial_number: int) -> int:
    """A seed in [0, 2**31) that looks independent for every trial, the same on every machine."""
    digest = hashlib.sha256(f"archfront trial {experiment_seed} {trial_number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
