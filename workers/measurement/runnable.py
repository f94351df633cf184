"""An exported network with inputs of its own: all that is needed to run it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Runnable:
    """inputs: of one inference each, all of the same shapes; at least one.

    outputs: type and shape of each output, where whoever runs it cannot tell them.
    """

    path: Path
    inputs: Sequence[tuple[NDArray[Any], ...]]
    outputs: Sequence[tuple[str, tuple[int, ...]]] = ()
