"""The model process: answers suggestion requests, one JSON line each.

`python -m service.background.model_worker`, started by the suggester. Our own surrogate takes a
second and 120 MB to load; a strategy of Ax's loads Ax when it is first asked for (2-8 s of CPU
time, 450 MB and more). One thread, lowered priority: trainings and measurements on the
same machine go first.
"""

import contextlib
import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from search_spaces.values import Value
from service.background.model_process import Answer
from service.domain.errors import SearchSpaceExhausted, SuggestionFailed
from service.domain.insight import Insight
from service.logs import configure_logs
from service.optimizer.optimizer import Optimizer, Suggestion, SuggestRequest, find_optimizer

NICENESS = 5
_OOM_SCORE = "500"

_logger = logging.getLogger(__name__)


class StrategyOfTheRequest:
    """The optimizer that each request names."""

    name = "strategy_of_the_request"

    def suggest(self, request: SuggestRequest) -> list[Suggestion]:
        """That strategy's suggestions."""
        return find_optimizer(request.strategy).suggest(request)


class _InsightQuestion(Value):
    insight: SuggestRequest


LookInto = Callable[[SuggestRequest], Insight]
"""What a model makes of a history."""


def look_into(request: SuggestRequest) -> Insight:
    """What our own surrogate makes of the request's history."""
    insight_of: LookInto = import_module("service.optimizer.insight_of").insight_of
    return insight_of(request)


def serve(
    optimizer: Optimizer,
    requests: BinaryIO,
    answers: BinaryIO,
    look: LookInto = look_into,
) -> None:
    """Answers each line of `requests` on `answers`; ends the process when `requests` closes.

    A line is a request, to be answered by suggestions, or `{"insight": request}`.
    The parent's death closes `requests` too, whatever is being computed.
    """
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(requests, lines), daemon=True).start()
    _write_line(answers, json.dumps({"ready": True}).encode())
    while True:
        answer = _answer(optimizer, look, lines.get())
        _write_line(answers, answer.model_dump_json().encode())


def _read_lines(requests: BinaryIO, lines: "queue.SimpleQueue[bytes]") -> None:
    for line in requests:
        lines.put(line)
    os._exit(0)


def _write_line(answers: BinaryIO, line: bytes) -> None:
    answers.write(line + b"\n")
    answers.flush()


def _answer(optimizer: Optimizer, look: LookInto, line: bytes) -> Answer:
    try:
        if line.startswith(b'{"insight":'):
            return Answer(insight=look(_InsightQuestion.model_validate_json(line).insight))
        request = SuggestRequest.model_validate_json(line)
        return Answer(suggestions=tuple(optimizer.suggest(request)))
    except SearchSpaceExhausted as error:
        return Answer(exhausted=str(error))
    except SuggestionFailed as error:
        return Answer(failed=str(error))
    except Exception as error:
        _logger.exception("The optimizer failed in an unforeseen way.")
        return Answer(failed=f"{type(error).__name__}: {error}")


def claim_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the parent alone; whatever prints goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return sys.stdin.buffer, answers


def _give_way() -> None:
    """Lowers the priority, and makes this the process to end first if memory runs out."""
    os.nice(NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    with contextlib.suppress(OSError):
        # where the scheduler groups by session, niceness counts within the session alone
        Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")


def main() -> None:
    """Loads our surrogate, then serves until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _give_way()
    requests, answers = claim_standard_streams()
    configure_logs()
    import_module("service.optimizer.insight_of")
    for name in ("ax", "botorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    serve(StrategyOfTheRequest(), requests, answers)


if __name__ == "__main__":
    main()
