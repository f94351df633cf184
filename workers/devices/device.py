"""The one contract of all devices: run a command there, bring files there and back."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ANSWER_LIMIT_S = 60.0
"""Longer than this no small command may take."""

_TIMED_OUT, _KILLED = 124, 137


@dataclass(frozen=True)
class Finished:
    """A command that has ended on the device."""

    status: int
    output: str
    errors: str


def limited(line: str, limit_s: float, shell: str) -> str:
    """`line` for whatever shell a user has: run by `shell`, ended after `limit_s`.

    Should a signal end it, its status is 128 more, as shells say: the ways to a device have no word
    for that.
    """
    bounded = f"timeout -k 5 {limit_s:g} {shell} -c {shlex.quote(line)}; exit $?"
    return f"exec {shell} -c {shlex.quote(bounded)}"


def has_timed_out(status: int, took_s: float, limit_s: float) -> bool:
    """Whether `timeout -k` has ended a command; a kill before its time was somebody else's."""
    return status == _TIMED_OUT or (status == _KILLED and took_s >= limit_s)


class Device(Protocol):
    """A machine that can be measured on.

    All are held to tests/workers/devices/test_every_device.py.
    """

    @property
    def scratch_folder(self) -> str:
        """Where on the device folders for a while may be made."""
        ...

    def shell(self, line: str, limit_s: float = ANSWER_LIMIT_S) -> Finished:
        """Runs a line of POSIX shell; it is ended on the device too once `limit_s` is over.

        Raises: DeviceUnreachable; DeviceTimedOut.
        """
        ...

    def push(self, source: Path, path: str) -> None:
        """Copies a file to the device. Raises: DeviceUnreachable; DeviceCommandFailed."""
        ...

    def pull(self, path: str, target: Path) -> None:
        """Copies a file from the device; `target` is whole or absent.

        Raises: DeviceUnreachable; DeviceCommandFailed, also where there is no such file.
        """
        ...

    def close(self) -> None:
        """Lets go of the connection; the next command makes a new one."""
        ...
