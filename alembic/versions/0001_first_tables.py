"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY_SQLITE = """
CREATE TRIGGER events_append_only_{deed} BEFORE {deed} ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
"""
_APPEND_ONLY_POSTGRESQL = """
CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events
FOR EACH ROW EXECUTE FUNCTION refuse_change_of_events();
"""


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_artifacts_sha256")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_artifacts_size_bytes")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "devices",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("first_seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_devices")),
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("space_name", sa.String(length=200)),
        sa.Column("space_version", sa.Integer()),
        sa.Column("measure_target", sa.String(length=200)),
        sa.Column("measure_runtime", sa.String(length=200)),
        sa.Column("budget_trials", sa.Integer(), nullable=False),
        sa.Column("trials_created", sa.Integer(), nullable=False),
        sa.Column("max_parallel", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("space_exhausted", sa.Boolean(), nullable=False),
        sa.Column("data_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("archived_at", sa.Double()),
        sa.CheckConstraint(
            "status IN ('running', 'paused', 'stopped', 'completed')",
            name=op.f("ck_experiments_status"),
        ),
        sa.CheckConstraint(
            "max_parallel >= 1 AND max_attempts >= 1", name=op.f("ck_experiments_limits")
        ),
        sa.CheckConstraint(
            "trials_created BETWEEN 0 AND budget_trials", name=op.f("ck_experiments_within_budget")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("name", name=op.f("uq_experiments_name")),
    )
    op.create_index(op.f("ix_experiments_created_at_id"), "experiments", ["created_at", "id"])
    op.create_index(op.f("ix_experiments_status"), "experiments", ["status"])
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("token_id", sa.String(length=40), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("body", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", "token_id", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
        sa.Column("last_used_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("experiment_id", sa.String(length=40)),
        sa.Column("trial_number", sa.Integer()),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_events_experiment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_experiment_id_id"), "events", ["experiment_id", "id"])
    op.create_table(
        "trials",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("experiment_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("arm_signature", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("stop_requested", sa.String(length=20)),
        sa.Column("source", sa.String(length=50), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (status IN ('candidate', 'running'))",
            name=op.f("ck_trials_ended"),
        ),
        sa.CheckConstraint(
            "status IN ('candidate', 'running', 'completed', 'failed', 'infeasible', "
            "'early_stopped', 'cancelled')",
            name=op.f("ck_trials_status"),
        ),
        sa.CheckConstraint(
            "stop_requested IN ('stop', 'cancel')", name=op.f("ck_trials_stop_requested")
        ),
        sa.CheckConstraint("number >= 0", name=op.f("ck_trials_number")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_trials_experiment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("experiment_id", "number", name=op.f("uq_trials_experiment_id_number")),
    )
    op.create_index(
        op.f("ix_trials_experiment_id_arm_signature"), "trials", ["experiment_id", "arm_signature"]
    )
    op.create_index(op.f("ix_trials_experiment_id_status"), "trials", ["experiment_id", "status"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("token_id", sa.String(length=40)),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("stages", sa.Text(), nullable=False),
        sa.Column("search_spaces", sa.Text(), nullable=False),
        sa.Column("runtimes", sa.Text(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("version", sa.String(length=200), nullable=False),
        sa.Column("ttl_s", sa.Double(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.Column("last_seen_at", sa.Double(), nullable=False),
        sa.Column("replaced_at", sa.Double()),
        sa.CheckConstraint(
            "status IN ('online', 'draining', 'stopped')", name=op.f("ck_workers_status")
        ),
        sa.CheckConstraint("slots >= 1", name=op.f("ck_workers_slots")),
        sa.ForeignKeyConstraint(["device"], ["devices.name"], name=op.f("fk_workers_device")),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_workers_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index(
        "uq_workers_name_current",
        "workers",
        ["name"],
        unique=True,
        sqlite_where=sa.text("replaced_at IS NULL"),
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "stages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("trial_id", sa.String(length=40), nullable=False),
        sa.Column("experiment_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.CheckConstraint("kind IN ('train', 'measure', 'external')", name=op.f("ck_stages_kind")),
        sa.CheckConstraint(
            "status IN ('waiting', 'ready', 'leased', 'completed', 'failed', 'infeasible', "
            "'early_stopped', 'cancelled')",
            name=op.f("ck_stages_status"),
        ),
        sa.CheckConstraint(
            "epoch >= 0 AND attempts BETWEEN 0 AND epoch", name=op.f("ck_stages_epoch")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_stages_experiment_id")
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_stages_trial_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stages")),
        sa.UniqueConstraint("trial_id", "name", name=op.f("uq_stages_trial_id_name")),
        sa.UniqueConstraint("trial_id", "position", name=op.f("uq_stages_trial_id_position")),
    )
    op.create_index(
        "ix_stages_ready",
        "stages",
        ["experiment_id"],
        sqlite_where=sa.text("status = 'ready'"),
        postgresql_where=sa.text("status = 'ready'"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("stage_id", sa.String(length=40), nullable=False),
        sa.Column("trial_id", sa.String(length=40), nullable=False),
        sa.Column("experiment_id", sa.String(length=40), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=40)),
        sa.Column("token_id", sa.String(length=40)),
        sa.Column("measure_device", sa.String(length=200)),
        sa.Column("claimed_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("outcome", sa.String(length=20)),
        sa.Column("message", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("report_digest", sa.String(length=64)),
        sa.Column("reply", sa.Text()),
        sa.Column("log_characters", sa.BigInteger(), nullable=False),
        sa.Column("curve_points", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('succeeded', 'failed', 'machine_failed', 'lost', 'preempted', "
            "'infeasible', 'early_stopped', 'cancelled')",
            name=op.f("ck_attempts_outcome"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (outcome IS NULL)", name=op.f("ck_attempts_ended")
        ),
        sa.CheckConstraint("epoch >= 1", name=op.f("ck_attempts_epoch")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_attempts_experiment_id")
        ),
        sa.ForeignKeyConstraint(
            ["measure_device"], ["devices.name"], name=op.f("fk_attempts_measure_device")
        ),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name=op.f("fk_attempts_stage_id")),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_attempts_token_id")),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_attempts_trial_id")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_attempts_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("stage_id", "epoch", name=op.f("uq_attempts_stage_id_epoch")),
    )
    op.create_index(
        "ix_attempts_expiring",
        "attempts",
        ["expires_at"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_attempts_held",
        "attempts",
        ["worker_id"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(op.f("ix_attempts_trial_id"), "attempts", ["trial_id"])
    op.create_index(
        "uq_attempts_measure_device",
        "attempts",
        ["measure_device"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL AND measure_device IS NOT NULL"),
        postgresql_where=sa.text("ended_at IS NULL AND measure_device IS NOT NULL"),
    )
    op.create_index(
        "uq_attempts_open",
        "attempts",
        ["stage_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "uq_attempts_recorded",
        "attempts",
        ["stage_id"],
        unique=True,
        sqlite_where=sa.text("outcome IN ('succeeded', 'early_stopped', 'infeasible')"),
        postgresql_where=sa.text("outcome IN ('succeeded', 'early_stopped', 'infeasible')"),
    )
    op.create_table(
        "attempt_artifacts",
        sa.Column("attempt_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_attempt_artifacts_attempt_id")
        ),
        sa.ForeignKeyConstraint(
            ["sha256"], ["artifacts.sha256"], name=op.f("fk_attempt_artifacts_sha256")
        ),
        sa.PrimaryKeyConstraint("attempt_id", "name", name=op.f("pk_attempt_artifacts")),
    )
    op.create_table(
        "curve_points",
        sa.Column("attempt_id", sa.String(length=40), nullable=False),
        sa.Column("metric", sa.String(length=200), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.CheckConstraint("step >= 0", name=op.f("ck_curve_points_step")),
        sa.CheckConstraint(
            "value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
            name=op.f("ck_curve_points_value_finite"),
        ),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_curve_points_attempt_id")
        ),
        sa.PrimaryKeyConstraint("attempt_id", "metric", "step", name=op.f("pk_curve_points")),
    )
    op.create_table(
        "log_chunks",
        sa.Column("attempt_id", sa.String(length=40), nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.CheckConstraint('"offset" >= 0', name=op.f("ck_log_chunks_offset")),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_log_chunks_attempt_id")
        ),
        sa.PrimaryKeyConstraint("attempt_id", "offset", name=op.f("pk_log_chunks")),
    )
    op.create_table(
        "measurements",
        sa.Column("trial_id", sa.String(length=40), nullable=False),
        sa.Column("metric", sa.String(length=200), nullable=False),
        sa.Column("attempt_id", sa.String(length=40), nullable=False),
        sa.Column("mean", sa.Double(), nullable=False),
        sa.Column("sem", sa.Double()),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "mean BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
            name=op.f("ck_measurements_mean_finite"),
        ),
        sa.CheckConstraint("n >= 1", name=op.f("ck_measurements_n")),
        sa.CheckConstraint(
            "sem BETWEEN 0 AND 1.7976931348623157e308", name=op.f("ck_measurements_sem_finite")
        ),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_measurements_attempt_id")
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_measurements_trial_id")),
        sa.PrimaryKeyConstraint("trial_id", "metric", name=op.f("pk_measurements")),
    )

    if op.get_bind().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(_APPEND_ONLY_SQLITE.format(deed=deed))
    else:
        op.execute(_APPEND_ONLY_POSTGRESQL)


def downgrade() -> None:
    raise RuntimeError(
        "a downgrade would lose every experiment; restore the backup made before the upgrade"
    )
