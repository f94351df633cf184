"""Carries the measuring program to a device and runs it in the Python there."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from workers.benches.program_file import write_program
from workers.devices.device import Device
from workers.devices.errors import DeviceCommandFailed
from workers.devices.workspace import Workspace, workspace

PROGRAM_LIMIT_S = 600.0
"""For each run of the program, beside what is to be measured meanwhile."""

_PROGRAM = "measure.pyz"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class RemotePython:
    """command: the interpreter there, 3.11 or newer; cores: those to measure on (None: any)."""

    command: str = "python3"
    cores: tuple[int, ...] | None = None


def carry_program(folder: Workspace) -> None:
    """Puts the program into the folder. Raises: DeviceUnreachable; DeviceCommandFailed."""
    with tempfile.TemporaryDirectory() as own:
        program = Path(own) / _PROGRAM
        write_program(program)
        folder.push(program, program.name)


def run_program(
    folder: Workspace, python: RemotePython, argument: str, limit_s: float, threads: int = 1
) -> str:
    """What the program, carried to the folder, has printed.

    Raises: DeviceUnreachable; DeviceTimedOut; DeviceCommandFailed.
    """
    environment = [f"{name}={threads}" for name in _THREAD_VARIABLES]
    program = f"{folder.folder}/{_PROGRAM}"
    try:
        return folder.run(["env", *environment, python.command, program, argument], limit_s)
    except DeviceCommandFailed as error:
        raise DeviceCommandFailed(
            f"the measuring program: {error}; see `python` in the devices file: it needs "
            "Python 3.11 or newer with numpy and the runtime"
        ) from error


def runtimes_in(folder: Workspace, python: RemotePython) -> dict[str, str]:
    """The versions of the runtimes that the program, carried to the folder, can run networks in."""
    told = run_program(folder, python, "--runtimes", PROGRAM_LIMIT_S)
    try:
        return {str(name): str(version) for name, version in json.loads(told).items()}
    except (ValueError, AttributeError) as error:
        raise DeviceCommandFailed(
            f"{python.command} printed something else than versions: {told[:200]!r}"
        ) from error


def runtimes_there(device: Device, python: RemotePython) -> dict[str, str]:
    """The versions of the runtimes in the device's Python.

    Raises: DeviceUnreachable; DeviceTimedOut; DeviceCommandFailed if the program cannot run there.
    """
    with workspace(device) as folder:
        carry_program(folder)
        return runtimes_in(folder, python)
