import pytest

from service.domain.trial import AttemptOutcome
from service.domain.worker_hold import QUARANTINE_AFTER, is_failing

FAILED, DONE = AttemptOutcome.MACHINE_FAILED, AttemptOutcome.SUCCEEDED


@pytest.mark.parametrize(
    ("newest", "failing"),
    [
        ([(FAILED, "a"), (FAILED, "b"), (FAILED, "a"), (FAILED, "a")], True),
        ([(FAILED, "a")] * QUARANTINE_AFTER, False),  # one arm that breaks any machine
        ([(FAILED, "a"), (FAILED, "b"), (FAILED, "c")], False),  # too few to tell
        ([(FAILED, "a"), (DONE, "b"), (FAILED, "c"), (FAILED, "d")], False),
        ([], False),
    ],
)
def test_a_worker_is_failing_when_all_its_newest_attempts_fail(newest: list, failing: bool) -> None:
    assert is_failing(newest) == failing
