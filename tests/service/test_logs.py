"""Logs in both forms; no token in any."""

import json
import logging
from collections.abc import Iterator

import pytest

from service.logs import configure_logs, redacted

SECRET = "archfront_0123456789abcdef_" + "aB3-_" * 8 + "xyz"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_token_reaches_a_line(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format)
    logger = logging.getLogger("archfront.test")
    logger.info("sent %s", SECRET, extra={"header": f"Bearer {SECRET}"})
    error = ValueError(f"bad token {SECRET}")
    logger.error("failed", exc_info=error)
    said = capsys.readouterr().err
    assert "archfront_0123456789abcdef_***" in said
    assert SECRET[-20:] not in said
    if log_format == "json":
        lines = [json.loads(line) for line in said.splitlines()]
        assert lines[0]["message"].startswith("sent archfront_")
        assert lines[0]["header"] == "Bearer ***"
        assert "ValueError" in lines[1]["traceback"]


def test_ordinary_text_is_left_alone() -> None:
    text = "archfront listens; trial 3 of bearer-experiment took 12.5 s"
    assert redacted(text) == text
