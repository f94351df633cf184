"""New identifiers: a prefix that says of what, then 80 random bits."""

import secrets


def new_id(prefix: str) -> str:
    """For instance `trial_3f0c...`; never guessed, never met twice."""
    return f"{prefix}_{secrets.token_hex(10)}"
