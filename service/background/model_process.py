"""The parent's side of the model process: asks, polls without waiting, and notices its death."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from search_spaces.values import Value
from service.domain.errors import ArchfrontError, SearchSpaceExhausted, SuggestionFailed
from service.domain.insight import Insight
from service.optimizer.optimizer import Suggestion, SuggestRequest

MODEL_COMMAND = (sys.executable, "-m", "service.background.model_worker")

_CHUNK_BYTES = 1 << 20
_MAX_RESTART_DELAY_S = 60.0


class ModelProcessDied(ArchfrontError):
    """The model process ended by itself."""


class Answer(Value):
    """What came back for the last request: suggestions or an insight, or why there is none."""

    suggestions: tuple[Suggestion, ...] = ()
    insight: Insight | None = None
    exhausted: str | None = None
    failed: str | None = None

    def unwrap(self) -> tuple[Suggestion, ...]:
        """The suggestions. Raises: SearchSpaceExhausted, SuggestionFailed."""
        if self.exhausted is not None:
            raise SearchSpaceExhausted(self.exhausted)
        if self.failed is not None:
            raise SuggestionFailed(self.failed)
        return self.suggestions

    def unwrap_insight(self) -> Insight:
        """The insight. Raises: SuggestionFailed."""
        if self.insight is None:
            raise SuggestionFailed(self.failed or "The model process gave no insight.")
        return self.insight


class ModelProcess:
    """One child process that keeps the model loaded and answers one request at a time.

    Nothing here waits: `start`, `ask` once it `is_ready`, then `poll` until an answer is there.
    After a death the next start is put off, longer with each death that gave no answer.
    command: what to run; by default this package's own worker.
    """

    def __init__(self, command: Sequence[str] = MODEL_COMMAND) -> None:
        self._command = list(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._received = b""
        self._is_ready = False
        self._is_busy = False
        self._deaths = 0
        self._started_at = 0.0
        self._start_after = 0.0

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return None if self._child is None else self._child.pid

    @property
    def is_ready(self) -> bool:
        """Whether it waits for a request."""
        return self._is_ready and not self._is_busy

    @property
    def starting_s(self) -> float:
        """For how long it has been loading; 0 once it is ready, or while there is none."""
        is_loading = self._child is not None and not self._is_ready
        return time.monotonic() - self._started_at if is_loading else 0.0

    def start(self) -> None:
        """Starts the process unless it runs already or its restart is put off."""
        if self._child is not None or time.monotonic() < self._start_after:
            return
        self._child = subprocess.Popen(  # noqa: S603  (our own command, no shell)
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # its own session: Ctrl-C reaches the parent alone, which then ends the child
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
        assert self._child.stdout is not None  # noqa: S101  (PIPE above)
        os.set_blocking(self._child.stdout.fileno(), False)
        self._started_at = time.monotonic()

    def ask(self, request: SuggestRequest) -> None:
        """Asks for suggestions; the process must be ready. Raises: ModelProcessDied."""
        self._send(request.model_dump_json())

    def ask_insight(self, request: SuggestRequest) -> None:
        """Asks what the model makes of the history; the process must be ready.

        Raises: ModelProcessDied.
        """
        self._send(f'{{"insight":{request.model_dump_json()}}}')

    def _send(self, line: str) -> None:
        if not self.is_ready or self._child is None or self._child.stdin is None:
            raise RuntimeError("the model process is not ready for a request")
        try:
            self._child.stdin.write(line.encode() + b"\n")
            self._child.stdin.flush()
        except OSError as error:
            raise ModelProcessDied(self._bury()) from error
        self._is_busy = True

    def has_message(self) -> bool:
        """Whether `poll` would find something new, be it the end of the process."""
        if self._child is None or self._child.stdout is None:
            return False
        return bool(select.select([self._child.stdout], [], [], 0)[0])

    def poll(self) -> Answer | None:
        """The answer, if it has come.

        Raises: ModelProcessDied, once per death.
        """
        if self._child is None or self._child.stdout is None:
            return None
        while True:
            try:
                chunk = os.read(self._child.stdout.fileno(), _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                raise ModelProcessDied(self._bury())
            self._received += chunk
        while b"\n" in self._received:
            line, self._received = self._received.split(b"\n", 1)
            message: dict[str, Any] = json.loads(line)
            if message.pop("ready", False):
                self._is_ready = True
            else:
                self._is_busy = False
                self._deaths = 0
                return Answer.model_validate(message)
        return None

    def stop(self) -> None:
        """Kills the process: it holds nothing that could be lost."""
        if self._child is not None:
            self._child.kill()
            self._bury()
        self._start_after = 0.0

    def kill_hung(self, after_s: float) -> str:
        """Kills a process that gave no answer for so long, and says so; it counts as a death."""
        if self._child is not None:
            self._child.kill()
            self._bury()
        return f"The model process gave no answer within {after_s:g} s and was killed."

    def _bury(self) -> str:
        """Reaps the child, forgets its state, and says how it ended."""
        child, self._child = self._child, None
        self._received, self._is_ready, self._is_busy = b"", False, False
        self._deaths += 1
        delay = min(2.0 ** (self._deaths - 1) - 1.0, _MAX_RESTART_DELAY_S)
        self._start_after = time.monotonic() + delay
        if child is None:
            return "The model process was not running."
        try:
            code = child.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its output, yet lives
            child.kill()
            code = child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                _close_quietly(pipe)
        if code == -signal.SIGKILL:
            return "The model process was killed, maybe because memory ran out."
        return f"The model process ended with exit code {code}."


def _close_quietly(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:  # unsent bytes to a dead process
        return
