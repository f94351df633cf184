"""What an attempt leaves behind while it runs: learning curves, its log, its files."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, tuple_, update

from service.domain.errors import InvalidRequest
from service.storage.columns import storable_text
from service.storage.insertion import insert_those_absent
from service.storage.tables import (
    artifacts,
    attempt_artifacts,
    attempts,
    curve_points,
    log_chunks,
    stages,
)

MAX_CURVE_POINTS = 200_000
MAX_LOG_CHARACTERS = 16 * 2**20
"""Of one attempt. Beyond either limit the rest is dropped, and the log says so when read."""

_ROWS_PER_STATEMENT = 500


def append_curve_points(
    connection: Connection, attempt_id: str, points: Iterable[tuple[int, str, float]]
) -> None:
    """Adds (step, metric, value) to the curves of an attempt that this transaction has renewed.

    A point that is there already stays as it is.
    """
    wanted = {(metric, step): value for step, metric, value in points}
    known_count = connection.scalar(
        select(attempts.c.curve_points).where(attempts.c.id == attempt_id)
    )
    room = max(0, MAX_CURVE_POINTS - (known_count or 0))
    if len(wanted) > room:
        for known in _known_among(connection, attempt_id, list(wanted)):
            del wanted[known]
    rows = [
        {"attempt_id": attempt_id, "metric": metric, "step": step, "value": value}
        for (metric, step), value in list(wanted.items())[:room]
    ]
    added = insert_those_absent(connection, curve_points, rows)
    if added:
        connection.execute(
            update(attempts)
            .where(attempts.c.id == attempt_id)
            .values(curve_points=attempts.c.curve_points + added)
        )


def _known_among(
    connection: Connection, attempt_id: str, keys: Sequence[tuple[str, int]]
) -> list[tuple[str, int]]:
    """Which (metric, step) of these the curves have already."""
    found: list[tuple[str, int]] = []
    for start in range(0, len(keys), _ROWS_PER_STATEMENT):
        known = select(curve_points.c.metric, curve_points.c.step).where(
            curve_points.c.attempt_id == attempt_id,
            tuple_(curve_points.c.metric, curve_points.c.step).in_(
                keys[start : start + _ROWS_PER_STATEMENT]
            ),
        )
        found += [(row.metric, row.step) for row in connection.execute(known)]
    return found


def curves_of(connection: Connection, attempt_ids: Sequence[str]) -> list[Row[Any]]:
    """The curve points (step, metric, value) of these attempts."""
    query = (
        select(curve_points.c.step, curve_points.c.metric, curve_points.c.value)
        .where(curve_points.c.attempt_id.in_(attempt_ids))
        .order_by(curve_points.c.metric, curve_points.c.step)
    )
    return list(connection.execute(query))


def append_log(connection: Connection, attempt_id: str, offset: int, text: str) -> None:
    """Adds the text at this character offset, so that the log has no gap.

    What is there already must be the same; sending it again changes nothing.
    Raises: InvalidRequest for a gap or another text, naming the offset to go on from.
    """
    length = (
        connection.scalar(select(attempts.c.log_characters).where(attempts.c.id == attempt_id)) or 0
    )
    if length >= MAX_LOG_CHARACTERS:
        return
    if offset > length:
        raise InvalidRequest(
            f"The log has {length} characters so far; text at offset {offset} leaves a gap.",
            field="log.offset",
            remedy=f"Send it from offset {length} on.",
        )
    text = storable_text(text)
    overlap = min(len(text), length - offset)
    if overlap and read_log_text(connection, attempt_id, offset, overlap) != text[:overlap]:
        raise InvalidRequest(
            f"The log has another text at offset {offset} already.",
            field="log.text",
            remedy=f"Send what is new, from offset {length} on.",
        )
    new = text[overlap:][: MAX_LOG_CHARACTERS - length]
    if new:
        connection.execute(
            insert(log_chunks).values(attempt_id=attempt_id, offset=length, text=new)
        )
        connection.execute(
            update(attempts)
            .where(attempts.c.id == attempt_id)
            .values(log_characters=length + len(new))
        )


def read_log_text(
    connection: Connection, attempt_id: str, offset: int, length: int | None = None
) -> str:
    """The log from a character offset on, at most `length` characters; past its end: empty."""
    first = (
        select(log_chunks.c.offset)
        .where(log_chunks.c.attempt_id == attempt_id, log_chunks.c.offset <= offset)
        .order_by(log_chunks.c.offset.desc())
        .limit(1)
    )
    start = connection.scalar(first)
    if start is None:
        return ""
    query = (
        select(log_chunks.c.text)
        .where(log_chunks.c.attempt_id == attempt_id, log_chunks.c.offset >= start)
        .order_by(log_chunks.c.offset)
    )
    if length is not None:
        query = query.where(log_chunks.c.offset < offset + length)
    text = "".join(connection.scalars(query))[offset - start :]
    return text if length is None else text[:length]


def attach_artifacts(
    connection: Connection, attempt_id: str, digests: Sequence[tuple[str, str]]
) -> None:
    """Ties stored files (name, SHA-256) to the attempt that made them."""
    if digests:
        connection.execute(
            insert(attempt_artifacts),
            [
                {"attempt_id": attempt_id, "name": name, "sha256": sha256}
                for name, sha256 in digests
            ],
        )


def artifacts_of(connection: Connection, attempt_ids: Sequence[str]) -> list[Row[Any]]:
    """The files of these attempts: stage, name, sha256, size_bytes."""
    query = (
        select(
            stages.c.name.label("stage"),
            attempt_artifacts.c.name,
            attempt_artifacts.c.sha256,
            artifacts.c.size_bytes,
        )
        .join(artifacts, artifacts.c.sha256 == attempt_artifacts.c.sha256)
        .join(attempts, attempts.c.id == attempt_artifacts.c.attempt_id)
        .join(stages, stages.c.id == attempts.c.stage_id)
        .where(attempt_artifacts.c.attempt_id.in_(attempt_ids))
        .order_by(stages.c.position, attempt_artifacts.c.name)
    )
    return list(connection.execute(query))
