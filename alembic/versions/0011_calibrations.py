"""What the reference network takes on each device, again and again."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_LARGEST = "1.7976931348623157e308"


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("runtime", sa.String(length=200), nullable=False),
        sa.Column("runtime_version", sa.String(length=200), nullable=False),
        sa.Column("threads", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("clock", sa.String(length=200), nullable=False),
        sa.Column("calibrated_at", sa.Double(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("sem_ms", sa.Double(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("drift", sa.Text()),
        sa.CheckConstraint(
            f"latency_ms BETWEEN 0 AND {_LARGEST}",
            name=op.f("ck_calibrations_latency_ms_finite"),
        ),
        sa.CheckConstraint(
            f"sem_ms BETWEEN 0 AND {_LARGEST}", name=op.f("ck_calibrations_sem_ms_finite")
        ),
        sa.CheckConstraint("n >= 1", name=op.f("ck_calibrations_n")),
        sa.ForeignKeyConstraint(["device"], ["devices.name"], name=op.f("fk_calibrations_device")),
        sa.PrimaryKeyConstraint(
            "device",
            "reference",
            "runtime",
            "runtime_version",
            "threads",
            "clock",
            "calibrated_at",
            name=op.f("pk_calibrations"),
        ),
    )


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would lose the history by which devices are judged; restore the backup made "
        "before the upgrade"
    )
