"""What of this machine an experiment may require: cores, memory, GPUs and theirs."""

import os
import subprocess
from collections.abc import Sequence

import psutil

from workers.container_limits import granted_cores, granted_memory_bytes

_GIB = 1024**3
_MIB_IN_GIB = 1024
_LIMIT_S = 20.0


def machine_resources(gpus: Sequence[str] | None = None) -> dict[str, float]:
    """`cores`, `memory_gib`, `gpus`, and where there are any, `gpu_memory_gib` of the smallest.

    In a container, of cores and memory what that may have.
    gpus: those that stages are given; None: those that `CUDA_VISIBLE_DEVICES` lets them see.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") if gpus is None else ",".join(gpus)
    gpu_memory_gib = _gpu_memory_gib(visible)
    found: dict[str, float] = {
        "cores": _cores(),
        "memory_gib": round(_memory_bytes() / _GIB, 1),
        "gpus": float(len(gpu_memory_gib)),
    }
    if gpu_memory_gib:
        found["gpu_memory_gib"] = round(min(gpu_memory_gib), 1)
    return found


def _cores() -> float:
    allowed = getattr(os, "sched_getaffinity", None)
    here = float(len(allowed(0)) if allowed is not None else os.cpu_count() or 1)
    granted = granted_cores()
    return here if granted is None else min(here, granted)


def _memory_bytes() -> int:
    here = int(psutil.virtual_memory().total)
    granted = granted_memory_bytes()
    return here if granted is None else min(here, granted)


def _gpu_memory_gib(visible: str | None) -> list[float]:
    """Of each NVIDIA GPU that is visible; the driver's own tool tells without torch."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    if visible is not None:
        if visible.strip() in ("", "-1"):
            return []
        command += ["--id", visible]
    try:
        done = subprocess.run(  # noqa: S603  (the driver's tool, if there is one)
            command, capture_output=True, text=True, timeout=_LIMIT_S, check=True
        )
        return [float(line) / _MIB_IN_GIB for line in done.stdout.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
