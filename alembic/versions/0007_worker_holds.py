"""Workers that are held back from work, by a person or for failing again and again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worker_holds",
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("held_at", sa.Double(), nullable=False),
        sa.Column("until", sa.Double()),
        sa.CheckConstraint("kind IN ('paused', 'quarantined')", name=op.f("ck_worker_holds_kind")),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_holds")),
    )


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would give work to workers that are held back; restore the backup made before "
        "the upgrade"
    )
