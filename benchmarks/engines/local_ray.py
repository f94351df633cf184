"""Real Ray nodes on this machine, each with a loopback address of its own, to be killed at will."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_OBJECT_STORE_BYTES = 80 * 1024 * 1024
_START_LIMIT_S = 90.0


class LocalRay:
    """A cluster whose first node is the head; leaving the `with` block kills it all.

    folder: for Ray's own files; its path must be short, for sockets lie in it.
    environment: set for all that the nodes start.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_metrics_report_interval_ms": "60000",
            **(environment or {}),
        }
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}
        self._last = 0
        with socket.socket() as probe:
            probe.bind(("127.0.1.1", 0))
            self._port = probe.getsockname()[1]

    @property
    def address(self) -> str:
        """Where the head listens."""
        return f"127.0.1.1:{self._port}"

    def start_node(self, cpus: int, *arguments: str) -> int:
        """Starts a node and gives its number, 1 for the head; does not wait until it is ready."""
        self._last += 1
        number = self._last
        # 127.0.0.1 itself will not do: Ray takes it for this machine's outer address.
        where = f"--node-ip-address=127.0.1.{number}"
        if number == 1:
            role = ["--head", f"--port={self._port}", f"--temp-dir={self._folder}"]
            role += ["--include-dashboard=false", "--dashboard-host=127.0.1.1"]
        else:
            self._await_head()
            role = [f"--address={self.address}"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", where, *role]
        command += [f"--num-cpus={cpus}", f"--object-store-memory={_OBJECT_STORE_BYTES}"]
        command += ["--disable-usage-stats", *arguments]
        with (self._folder.parent / f"{self._folder.name}-{number}.log").open("ab") as log:
            self._nodes[number] = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return number

    def is_ready(self, number: int) -> bool:
        """Whether the node's raylet runs."""
        commands = self._commands(number).values()
        return any("raylet" in Path(command[0]).name for command in commands)

    def count(self, number: int, word: str) -> int:
        """How many stages run on the node: groups of processes with this word in the command."""
        return len(self.processes(number, word)) // 2

    def processes(self, number: int, word: str) -> frozenset[int]:
        """The ids of the node's processes with this word in the command."""
        commands = self._commands(number).items()
        return frozenset(process for process, command in commands if word in command)

    def kill_node(self, number: int) -> int:
        """Kills the node with all its processes, as a power cut would; gives how many."""
        leader = self._nodes.pop(number)
        killed = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(leader.pid)
            # The tree is stopped first, lest one of it starts another meanwhile.
            family = [process, *process.children(recursive=True)]
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.suspend()
            for one in dict.fromkeys([*family, *process.children(recursive=True)]):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
                    killed += 1
        leader.wait()
        return killed

    def _commands(self, number: int) -> dict[int, list[str]]:
        found = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._nodes[number].pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    found[process.pid] = process.cmdline() or [""]
        return found

    def _await_head(self) -> None:
        end_s = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < end_s:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.1.1", self._port), timeout=1.0).close()
                return
            time.sleep(0.1)
        raise TimeoutError(f"the head of the Ray cluster does not listen at {self.address}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in sorted(self._nodes, reverse=True):
            self.kill_node(number)
