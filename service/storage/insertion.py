"""Inserts that lose a race without an error."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_if_absent(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Adds the row unless a unique key is taken; whether it was added.

    Waits for a transaction that is just inserting the same key to end.
    """
    statement = _inserting(connection, table).values(values).on_conflict_do_nothing()
    returned = connection.execute(statement.returning(*table.primary_key))
    return returned.first() is not None


def insert_those_absent(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]]
) -> int:
    """The same for many rows of like columns, in few statements; how many were added."""
    if not rows:
        return 0
    statement = _inserting(connection, table).on_conflict_do_nothing()
    returned = connection.execute(statement.returning(*table.primary_key), list(rows))
    return len(returned.all())


def _inserting(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table)
