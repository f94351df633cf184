"""Tokens that are used once, and tokens that speak for one worker alone."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("worker", sa.String(length=200)))
    op.add_column("tokens", sa.Column("spent_at", sa.Double()))
    op.add_column("tokens", sa.Column("spent_by", sa.Text()))
    op.add_column("tokens", sa.Column("session_sha256", sa.String(length=64)))
    op.create_index(op.f("ix_tokens_worker"), "tokens", ["worker"])


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would let one worker's token speak for all, and one-use tokens be used again; "
        "restore the backup made before the upgrade"
    )
