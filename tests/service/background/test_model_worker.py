import json
import subprocess
import sys

from service.background.model_process import MODEL_COMMAND, Answer
from service.optimizer.optimizer import find_optimizer
from tests.service.optimizer.tricky_spaces import SPACES, request_after


def test_another_process_suggests_the_same_bit_for_bit() -> None:
    request = request_after(SPACES["conditional"], 6, strategy="gp", count=2)
    here = find_optimizer("gp").suggest(request)
    with subprocess.Popen(MODEL_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            assert json.loads(worker.stdout.readline()) == {"ready": True}
            worker.stdin.write(request.model_dump_json().encode() + b"\n")
            worker.stdin.flush()
            there = Answer.model_validate_json(worker.stdout.readline()).unwrap()
            worker.stdin.close()
            assert worker.wait(10) == 0
        finally:
            worker.kill()
    assert list(there) == here


def test_a_request_that_cannot_be_read_is_answered_as_failed() -> None:
    command = [sys.executable, "-m", "tests.service.background.odd_model_worker", "none"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdout.readline()
            worker.stdin.write(b'{"space": 1}\n')
            worker.stdin.flush()
            answer = Answer.model_validate_json(worker.stdout.readline())
        finally:
            worker.kill()
    assert answer.failed is not None
    assert "ValidationError" in answer.failed
