"""Child processes that are started again when they die, and never outlive this one for long."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_STEADY_AFTER_S = 60.0
_STOP_WITHIN_S = 10.0
_LOG = logging.getLogger("archfront.processes")


class ChildProcess:
    """One command, kept running: started again after a pause that grows while it keeps dying.

    environment: on top of this process's own; secrets go here, never onto the command line.
    log: what it prints is appended there; None: where this process prints.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        log: Path | None = None,
    ) -> None:
        self._name = name
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._log = log
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep_running, name=name, daemon=True)

    def start(self) -> None:
        """Starts it, and a thread that watches it."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def request_stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Asks it to end and does not start it again; does not wait."""
        self._stopping.set()
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(with_signal)

    def wait(self) -> None:
        """Waits for its end after `request_stop`; kills it (with its group) if it lingers."""
        self._thread.join(_STOP_WITHIN_S)
        process = self._process
        if process is not None and process.poll() is None:
            _LOG.warning("killing a process that lingers", extra={"child": self._name})
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._thread.is_alive():
            self._thread.join()

    def _keep_running(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            started_s = time.monotonic()
            with self._lock:
                if self._stopping.is_set():
                    return
                # A session of its own: Ctrl-C reaches this process alone, which then ends it.
                with self._log.open("ab") if self._log else nullcontext() as log:
                    self._process = subprocess.Popen(  # noqa: S603
                        self._command,
                        env=self._environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
            status = self._process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - started_s > _STEADY_AFTER_S:
                pause_s = _FIRST_PAUSE_S
            _LOG.warning(
                "a process ended and is started again",
                extra={"child": self._name, "status": status, "pause_s": pause_s},
            )
            if self._stopping.wait(pause_s):
                return
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)


def when_parent_dies(act: Callable[[], None], poll_s: float = 0.5) -> None:
    """Calls `act` once the process that started this one is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(poll_s)
        act()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
