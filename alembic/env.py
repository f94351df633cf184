"""Runs the migrations in the caller's transaction, or against `-x url=...` from the shell."""

from alembic import context
from sqlalchemy import Connection, create_engine

from service.storage.tables import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


def _from_shell() -> None:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit("name the database: alembic -x url=sqlite:///archfront.db upgrade head")
    engine = create_engine(url)
    with engine.begin() as connection:
        _run(connection)
    engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is None:
    _from_shell()
else:
    _run(given)
