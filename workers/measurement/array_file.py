"""Arrays of several inferences in one `.npz` file: the inputs of each, or its answers."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_arrays(path: Path, inferences: Iterable[Sequence[NDArray[Any]]]) -> None:
    """One entry `inference.place` for each array."""
    named = {
        f"{inference}.{place}": array
        for inference, arrays in enumerate(inferences)
        for place, array in enumerate(arrays)
    }
    np.savez(path, **named)  # type: ignore[arg-type]  # numpy's hints take the names for options


def read_arrays(path: Path) -> list[tuple[NDArray[Any], ...]]:
    """The arrays of each inference, in their order.

    Raises: ValueError if the file is no such one; objects are never unpickled.
    """
    inferences: list[list[NDArray[Any]]] = []
    with np.load(path, allow_pickle=False) as kept:
        for name in kept.files:
            inference, place = map(int, name.split("."))
            if inference == len(inferences) and place == 0:
                inferences.append([])
            if inference != len(inferences) - 1 or place != len(inferences[-1]):
                raise ValueError(f"{path.name} holds {name} out of its order")
            inferences[-1].append(kept[name])
    return [tuple(arrays) for arrays in inferences]
