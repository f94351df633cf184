"""Each trial's own seed, derived from the experiment's."""

import hashlib


def trial_seed(experiment_seed: int, trial_number: int, training_key: str | None = None) -> int:
    """A seed in [0, 2**31) that looks independent for every trial, the same on every machine.

    Trials that share a training share its seed: theirs derives from its key, not their number.
    """
    of_what = str(trial_number) if training_key is None else f"training {training_key}"
    digest = hashlib.sha256(f"archfront trial {experiment_seed} {of_what}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
