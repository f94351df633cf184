"""Logging for people (text) or machines (JSON lines); tokens never reach a line."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

_SECRET = re.compile(r"(archfront_[A-Za-z0-9]+_)[A-Za-z0-9_\-]{16,}|(?i:(bearer) +)[^\s'\",]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def redacted(text: str) -> str:
    """The text with every token's secret part struck out."""
    return _SECRET.sub(lambda match: f"{match[1] or match[2] + ' '}***", text)


class _Text(logging.Formatter):
    """One line: time, level, logger, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in own_fields(record).items())
        return redacted(super().format(record) + (f" {fields}" if fields else ""))


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **own_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return redacted(json.dumps(line, default=str))


def own_fields(record: logging.LogRecord) -> dict[str, object]:
    """What a call put into `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def configure_logs(log_format: str = "text", level: str = "INFO") -> None:
    """Sends all logs of this process to standard error in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonLines() if log_format == "json" else _Text("%(asctime)s %(levelname)-7s %(message)s")
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    logging.getLogger("uvicorn.access").disabled = True  # ours names the route, never the query
    for chatty in ("httpx2", "httpcore2", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
