"""The order of the candidates in a pool, what they were proposed from, the model's trouble."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "trials", sa.Column("pool_rank", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("trials", sa.Column("learnt_from", sa.Integer()))
    op.add_column("experiments", sa.Column("model_trouble", sa.Text()))


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would lose what the model's trouble was; restore the backup made before "
        "the upgrade"
    )
