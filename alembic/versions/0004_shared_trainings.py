"""Trials that share a training, and the stages that have taken another trial's result."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("training_key", sa.String(32)))
    op.create_index(
        "ix_trials_experiment_id_training_key", "trials", ["experiment_id", "training_key"]
    )
    op.add_column("stages", sa.Column("shared_attempt_id", sa.String(40)))


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would leave trials completed without any training; restore the backup made "
        "before the upgrade"
    )
