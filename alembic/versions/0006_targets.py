"""Several targets in an experiment, each measured on alike devices alone."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_experiments = sa.table(
    "experiments",
    sa.column("id", sa.String),
    sa.column("spec", sa.Text),
    sa.column("measure_target", sa.String),
    sa.column("measure_runtime", sa.String),
)
_stages = sa.table(
    "stages",
    sa.column("experiment_id", sa.String),
    sa.column("kind", sa.String),
    sa.column("target", sa.String),
    sa.column("runtime", sa.String),
)
_workers = sa.table(
    "workers",
    sa.column("targets", sa.Text),
    sa.column("status", sa.String),
    sa.column("last_seen_at", sa.Double),
    sa.column("replaced_at", sa.Double),
)


def upgrade() -> None:
    op.add_column("stages", sa.Column("target", sa.String(length=200)))
    op.add_column("stages", sa.Column("runtime", sa.String(length=200)))
    op.add_column("stages", sa.Column("ready_at", sa.Double()))
    op.create_table(
        "target_profiles",
        sa.Column("experiment_id", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("comparison_key", sa.String(length=32), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("runtime", sa.String(length=200), nullable=False),
        sa.Column("runtime_version", sa.String(length=200), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("bound_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device"], ["devices.name"], name=op.f("fk_target_profiles_device")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_target_profiles_experiment_id")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "target", name=op.f("pk_target_profiles")),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(_experiments)).all():
        _move_target(connection, row)
    # They speak the wire of before, and have to register again.
    connection.execute(
        sa.update(_workers).values(
            targets="[]",
            status="stopped",
            replaced_at=sa.func.coalesce(_workers.c.replaced_at, _workers.c.last_seen_at),
        )
    )
    op.drop_column("workers", "runtimes")
    op.drop_column("experiments", "measure_target")
    op.drop_column("experiments", "measure_runtime")


def _move_target(connection: sa.Connection, row: Any) -> None:
    """What an experiment gave stays under the names that it had."""
    spec = json.loads(row.spec)
    target = spec["measurement"].pop("target", "this-host")
    spec["targets"] = [{"name": target}]
    connection.execute(
        sa.update(_experiments).where(_experiments.c.id == row.id).values(spec=json.dumps(spec))
    )
    connection.execute(
        sa.update(_stages)
        .where(_stages.c.experiment_id == row.id, _stages.c.kind == "measure")
        .values(target=row.measure_target, runtime=row.measure_runtime)
    )


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would mix the figures of unlike devices; restore the backup made before the "
        "upgrade"
    )
