"""Runs the migrations, from a checkout or from an installed wheel."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from service.domain.errors import DatabaseNewerThanCode

_LOCK = 7_203_114_946_120_277_001  # any number, as long as nobody else takes it


def migrations_folder() -> Path:
    """`alembic/` of the checkout, which a wheel carries as `service/storage/migrations`."""
    here = Path(__file__).resolve().parent
    for folder in (here / "migrations", here.parents[1] / "alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise FileNotFoundError(
        "the migrations are missing from this installation; install the archfront wheel again"
    )


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; with a connection, the migrations run in its transaction."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade_to_head(connection: Connection) -> None:
    """Applies what is missing, in the transaction of `connection`.

    Raises: DatabaseNewerThanCode if a newer release has already migrated it.
    """
    if connection.dialect.name == "postgresql":
        # Two servers that start at once: the second waits, then finds nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = MigrationContext.configure(connection).get_current_heads()
    for revision in present:
        if revision not in known:
            raise DatabaseNewerThanCode(
                f"The database is at migration {revision}, which this release does not know.",
                remedy="Install the newer archfront release, or restore an older backup.",
            )
    command.upgrade(config, "head")
