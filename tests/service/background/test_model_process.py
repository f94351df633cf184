import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.background.model_process import Answer, ModelProcess, ModelProcessDied
from service.domain.errors import SearchSpaceExhausted, SuggestionFailed
from tests.service.optimizer.tricky_spaces import SPACES, request_after

ODD_WORKER = (sys.executable, "-m", "tests.service.background.odd_model_worker")
REQUEST = request_after(SPACES["mixed"], 3)


@pytest.fixture
def model_of() -> Iterator[Callable[[str], ModelProcess]]:
    made: list[ModelProcess] = []

    def make(mischief: str) -> ModelProcess:
        made.append(ModelProcess((*ODD_WORKER, mischief)))
        made[-1].start()
        return made[-1]

    yield make
    for model in made:
        model.stop()


def wait_for(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def get_ready(model: ModelProcess) -> None:
    def ready() -> bool:
        assert model.poll() is None
        return model.is_ready

    wait_for(ready)


def answer_of(model: ModelProcess) -> Answer:
    get_ready(model)
    model.ask(REQUEST)
    wait_for(model.has_message)
    answer = model.poll()
    assert answer is not None
    return answer


def test_answers_one_request_after_the_other(model_of: Callable[[str], ModelProcess]) -> None:
    model = model_of("none")
    one, other = answer_of(model).unwrap(), answer_of(model).unwrap()
    assert [suggestion.source for suggestion in one] == ["model"]
    assert one == other
    assert model.poll() is None


def test_is_not_ready_while_it_thinks(model_of: Callable[[str], ModelProcess]) -> None:
    model = model_of("slow")
    get_ready(model)
    model.ask(REQUEST)
    assert not model.is_ready
    assert model.poll() is None
    with pytest.raises(RuntimeError, match="not ready"):
        model.ask(REQUEST)


def test_errors_cross_the_process_boundary(model_of: Callable[[str], ModelProcess]) -> None:
    with pytest.raises(SuggestionFailed, match="singular"):
        answer_of(model_of("fail")).unwrap()
    with pytest.raises(SearchSpaceExhausted, match="No legal arm"):
        answer_of(model_of("exhausted")).unwrap()
    with pytest.raises(SuggestionFailed, match="KeyError: 'unforeseen'"):
        answer_of(model_of("bug")).unwrap()


def test_a_death_is_noticed_once_and_survived(model_of: Callable[[str], ModelProcess]) -> None:
    model = model_of("crash")
    first = model.pid
    with pytest.raises(ModelProcessDied, match="memory ran out"):
        answer_of(model)
    assert model.pid is None
    assert model.poll() is None
    model.start()
    assert model.pid not in (None, first)
    get_ready(model)


def test_deaths_in_a_row_put_off_the_next_start(model_of: Callable[[str], ModelProcess]) -> None:
    model = model_of("no_start")
    for _ in range(2):
        wait_for(model.has_message)
        with pytest.raises(ModelProcessDied, match="exit code 3"):
            model.poll()
        model.start()
    assert model.pid is None
    wait_for(lambda: model.start() is None and model.pid is not None, limit_s=5)


def test_killing_a_hung_process_leaves_nothing_behind(
    model_of: Callable[[str], ModelProcess],
) -> None:
    model = model_of("hang")
    get_ready(model)
    model.ask(REQUEST)
    pid = model.pid
    assert pid is not None
    assert "no answer within 3 s" in model.kill_hung(3.0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PARENT = """
import sys, time
from service.background.model_process import ModelProcess
from tests.service.background.test_model_process import ODD_WORKER, REQUEST, get_ready
model = ModelProcess((*ODD_WORKER, "hang"))
model.start()
get_ready(model)
model.ask(REQUEST)
print(model.pid, flush=True)
time.sleep(3600)
"""


def test_it_dies_with_its_parent_even_while_it_thinks() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.send_signal(signal.SIGKILL)

    def is_gone() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        except FileNotFoundError:
            return True
        return stat.rsplit(")", 1)[1].split()[0] == "Z"  # dead, though nobody has reaped it

    wait_for(is_gone, limit_s=10)
