"""Inserts that lose a race without an error."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_if_absent(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Adds the row unless a unique key is taken; whether it was added.

    Waits for a transaction that is just inserting the same key to end.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(values).on_conflict_do_nothing()
    returned = connection.execute(statement.returning(*table.primary_key))
    return returned.first() is not None
