"""An arm: one assignment of values to the active parameters of a search space."""

import hashlib
import json
from functools import cached_property

from search_spaces.parameters import ParameterValue
from search_spaces.values import Name, Value


class Arm(Value):
    """One point of a parameter space; parameters whose condition does not hold are absent."""

    parameters: dict[Name, ParameterValue]

    @cached_property
    def signature(self) -> str:
        """Equal for equal arms, whatever the order of their parameters (128 bits of SHA-256)."""
        text = json.dumps(self.parameters, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]
