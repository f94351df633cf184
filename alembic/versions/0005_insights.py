"""What the model last made of each experiment."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "insights",
        sa.Column("experiment_id", sa.String(length=40), nullable=False),
        sa.Column("observations", sa.Integer(), nullable=False),
        sa.Column("insight", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.CheckConstraint("observations >= 0", name=op.f("ck_insights_observations")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_insights_experiment_id")
        ),
        sa.PrimaryKeyConstraint("experiment_id", name=op.f("pk_insights")),
    )


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would lose what the model made of each experiment; restore the backup made "
        "before the upgrade"
    )
