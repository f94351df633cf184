"""Turns a network into a `.tflite` file by LiteRT's converter, in a process of its own.

The converter's environment has none of the code that the network was written in, nor needs it: the
network travels as a torch program.
"""

import json
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from service.domain.runtimes import Precision
from workers.runtimes.errors import RuntimeMissing

_PROGRAM = Path(__file__).with_name("litert_environment") / "program.py"
_LIMIT_S = 600.0
_TOLD_LENGTH = 500


def convert(
    network: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    precision: Precision,
    calibration_inputs: Sequence[tuple[torch.Tensor, ...]],
    *,
    python: Path,
) -> None:
    """Writes `network` to `path`, by the converter in the environment of `python`.

    Raises: ValueError with what the converter said last; TimeoutExpired; whatever torch.export
        raises. RuntimeMissing if the converter lacks a module; MemoryError if it was killed.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".converting-") as making:
        folder = Path(making)
        program, made, calibration = (
            folder / name for name in ("program.pt2", path.name, "calibration.npz")
        )
        torch.export.save(torch.export.export(network, example, strict=False), program)
        order = {"program": str(program), "network": str(made), "precision": precision}
        if precision == "int8_static":
            _write_calibration(calibration, calibration_inputs)
            order["calibration"] = str(calibration)
        _run(command(python, order))
        made.replace(path)


def command(python: Path, order: Mapping[str, str]) -> list[str]:
    """How the converter is called; -I keeps the worker's own packages from it."""
    return [str(python), "-I", str(_PROGRAM), json.dumps({"calibration": None, **order})]


def _run(command: list[str]) -> None:
    done = subprocess.run(  # noqa: S603  (the settings name it)
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode == 0:
        return
    said = " ".join(done.stderr.split())[-_TOLD_LENGTH:]
    last = done.stderr.strip().rpartition("\n")[2]
    if last.startswith(("ImportError", "ModuleNotFoundError")):
        raise RuntimeMissing(
            f"LiteRT's converter at {command[0]} is not whole: {last}; make its environment anew"
        )
    if done.returncode == -signal.SIGKILL:
        raise MemoryError("LiteRT's converter was killed, as happens where memory runs out")
    raise ValueError(f"the converter ended with exit code {done.returncode}: {said}")


def _write_calibration(path: Path, inputs: Sequence[tuple[torch.Tensor, ...]]) -> None:
    arrays = {
        f"{row}-{place}": tensor.numpy()
        for row, one in enumerate(inputs)
        for place, tensor in enumerate(one)
    }
    np.savez(path, allow_pickle=False, **arrays)
