"""A training in its midst as a safetensors file: tensors and JSON, nothing that can be executed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from search_spaces.recipe import CurvePoint, TrainingState
from workers.errors import CheckpointUnusable

_FORMAT = "1"


@dataclass(frozen=True)
class Checkpoint:
    """The recipe's state after `step` steps, the points up to there, the seconds it all took."""

    step: int
    state: TrainingState
    points: tuple[CurvePoint, ...]
    spent_s: float


def write_checkpoint(path: Path, training: str, checkpoint: Checkpoint) -> None:
    """Writes the file, whole or not at all.

    training: names what is trained; only the same goes on from it.
    Raises: TypeError if the state holds what is neither tensor nor plain value; OSError.
    """
    tensors: dict[str, Tensor] = {}
    state = _packed(checkpoint.state, tensors)
    points = [{"step": point.step, "metrics": _plain(point)} for point in checkpoint.points]
    about = {
        "format": _FORMAT,
        "training": training,
        "step": json.dumps(checkpoint.step),
        "spent_s": json.dumps(checkpoint.spent_s),
        "points": json.dumps(points),
        "state": json.dumps(state),
    }
    temporary = path.with_name(f".{path.name}")
    try:
        save_file(tensors, temporary, about)
        temporary.replace(path)
    except SafetensorError as error:
        raise OSError(f"{path.name} could not be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path, training: str) -> Checkpoint:
    """What was written. Raises: CheckpointUnusable if it is damaged, or of another training."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != _FORMAT:
                raise CheckpointUnusable(f"It has the format {about.get('format')}, not {_FORMAT}.")
            if about["training"] != training:
                raise CheckpointUnusable(f"It is of another training: {about['training']}.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        points = [CurvePoint(one["step"], one["metrics"]) for one in json.loads(about["points"])]
        return Checkpoint(
            step=json.loads(about["step"]),
            state=_unpacked(json.loads(about["state"]), tensors),
            points=tuple(points),
            spent_s=json.loads(about["spent_s"]),
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointUnusable(f"It is damaged: {type(error).__name__}: {error}.") from error


def _plain(point: CurvePoint) -> dict[str, float]:
    return {name: float(value) for name, value in point.metrics.items()}


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON, its tensors put aside; tuples and keys that are numbers stay such."""
    if isinstance(value, Tensor):
        name = f"{len(tensors)}"
        # A copy of its own: what shares memory cannot be kept, and training goes on writing.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"mapping": [[_key(key), _packed(part, tensors)] for key, part in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(part, tensors) for part in value]}
    if isinstance(value, list):
        return [_packed(part, tensors) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"A training's state cannot hold {value!r}; give tensors and plain values.")


def _key(key: Any) -> str | int:
    if isinstance(key, str) or type(key) is int:
        return key
    raise TypeError(f"A training's state cannot have the key {key!r}; give texts and numbers.")


def _unpacked(packed: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(packed, list):
        return [_unpacked(part, tensors) for part in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return tensors[content]
    parts = [part if kind == "tuple" else part[1] for part in content]
    values = [_unpacked(part, tensors) for part in parts]
    if kind == "tuple":
        return tuple(values)
    return dict(zip([key for key, _ in content], values, strict=True))
