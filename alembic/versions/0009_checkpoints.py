"""The state of trainings under way, and after how many steps an attempt has gone on."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("stage_id", sa.String(length=40), nullable=False),
        sa.Column("attempt_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("saved_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "status IN ('arriving', 'kept', 'superseded')", name=op.f("ck_checkpoints_status")
        ),
        sa.CheckConstraint("step >= 0", name=op.f("ck_checkpoints_step")),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name=op.f("fk_checkpoints_stage_id")),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_checkpoints_attempt_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
    )
    op.create_index(
        "uq_checkpoints_kept",
        "checkpoints",
        ["stage_id"],
        unique=True,
        sqlite_where=sa.text("status = 'kept'"),
        postgresql_where=sa.text("status = 'kept'"),
    )
    op.create_index(op.f("ix_checkpoints_sha256"), "checkpoints", ["sha256"])
    op.add_column("attempts", sa.Column("resumed_after_step", sa.BigInteger()))


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would lose the state of trainings under way; restore the backup made before "
        "the upgrade"
    )
