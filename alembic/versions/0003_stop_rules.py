"""The stop rule that ended a search, and those that a person has overruled."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("experiments", sa.Column("stopped_by", sa.Text()))
    op.add_column(
        "experiments",
        sa.Column("overruled_stop_rules", sa.Text(), nullable=False, server_default="[]"),
    )


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would forget which searches a rule has ended; restore the backup made before "
        "the upgrade"
    )
