"""What experiments need of the workers that train them, and what workers have."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "requirements",
        sa.Column("experiment_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("label", sa.Text()),
        sa.Column("at_least", sa.Double()),
        sa.CheckConstraint(
            "(label IS NULL) <> (at_least IS NULL)", name=op.f("ck_requirements_one_of_both")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_requirements_experiment_id")
        ),
    )
    op.create_index(op.f("ix_requirements_experiment_id"), "requirements", ["experiment_id"])
    op.add_column("workers", sa.Column("resources", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would give trainings to workers that do not meet what they need; restore the "
        "backup made before the upgrade"
    )
