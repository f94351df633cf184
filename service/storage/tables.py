"""The tables. The database itself refuses what must never be: see the checks and indexes."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

from service.domain.experiment import ExperimentStatus
from service.domain.trial import AttemptOutcome, StageStatus, TrialStatus
from service.storage.columns import AnyText, JsonText, Moment

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = String(40)
_NAME = String(200)
_STATUS = String(20)
_SHA256 = String(64)
_LARGEST = "1.7976931348623157e308"

RECORDED_OUTCOMES = (
    AttemptOutcome.SUCCEEDED,
    AttemptOutcome.EARLY_STOPPED,
    AttemptOutcome.INFEASIBLE,
)
"""The outcomes that leave measurements behind: at most one such attempt per stage."""


def _one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


experiments = Table(
    "experiments",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("spec", JsonText, nullable=False),
    Column("space", JsonText, nullable=False),
    Column("metrics", JsonText, nullable=False),
    Column("status", _STATUS, nullable=False),
    # What a claim filters by, copied out of the spec. Null: trials are run elsewhere.
    Column("space_name", _NAME),
    Column("space_version", Integer),
    Column("budget_trials", Integer, nullable=False),
    Column("trials_created", Integer, nullable=False),
    Column("max_parallel", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("space_exhausted", Boolean, nullable=False),
    # Why the model gave no suggestion when it was asked last; null: it gave one.
    Column("model_trouble", AnyText),
    Column("data_version", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("archived_at", Moment),
    # The stop rule that ended the search, with its reason; null while the search goes on.
    Column("stopped_by", JsonText),
    Column("overruled_stop_rules", JsonText, nullable=False, server_default="[]"),
    CheckConstraint(_one_of("status", ExperimentStatus), name="status"),
    CheckConstraint("trials_created BETWEEN 0 AND budget_trials", name="within_budget"),
    CheckConstraint("max_parallel >= 1 AND max_attempts >= 1", name="limits"),
    Index(None, "created_at", "id"),
    Index(None, "status"),
)

trials = Table(
    "trials",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("experiment_id", ForeignKey(experiments.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("parameters", JsonText, nullable=False),
    Column("arm_signature", String(32), nullable=False),
    # Equal for trials that share a training; null: it trains for itself.
    Column("training_key", String(32)),
    Column("status", _STATUS, nullable=False),
    # `stop`: end early and keep what there is; `cancel`: drop the work. Told by heartbeat.
    Column("stop_requested", _STATUS),
    Column("source", String(50), nullable=False),
    Column("note", JsonText, nullable=False),
    # Among the optimizer's candidates the lowest is claimed first, then the lowest number.
    Column("pool_rank", Integer, nullable=False, server_default=text("0")),
    # How many observations the arm was proposed from. Null: without looking at any.
    Column("learnt_from", Integer),
    Column("reason", AnyText),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    CheckConstraint(_one_of("status", TrialStatus), name="status"),
    CheckConstraint(_one_of("stop_requested", ("stop", "cancel")), name="stop_requested"),
    CheckConstraint("(ended_at IS NULL) = (status IN ('candidate', 'running'))", name="ended"),
    CheckConstraint("number >= 0", name="number"),
    UniqueConstraint("experiment_id", "number"),
    Index(None, "experiment_id", "status"),
    Index(None, "experiment_id", "arm_signature"),
    Index(None, "experiment_id", "training_key"),
)

insights = Table(
    "insights",
    metadata,
    # What the model last made of the experiment, as of so many ended trials.
    Column("experiment_id", ForeignKey(experiments.c.id), primary_key=True),
    Column("observations", Integer, nullable=False),
    Column("insight", JsonText, nullable=False),
    Column("made_at", Moment, nullable=False),
    CheckConstraint("observations >= 0", name="observations"),
)

stages = Table(
    "stages",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("trial_id", ForeignKey(trials.c.id), nullable=False),
    Column("experiment_id", ForeignKey(experiments.c.id), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("kind", _STATUS, nullable=False),
    # What a measurement is taken on, and in which runtime.
    Column("target", _NAME),
    Column("runtime", _NAME),
    Column("position", Integer, nullable=False),
    Column("status", _STATUS, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Since when it waits for a worker, or did so last.
    Column("ready_at", Moment),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    # The attempt of another trial whose training is this one's too; never leased then.
    Column("shared_attempt_id", _ID),
    CheckConstraint(_one_of("status", StageStatus), name="status"),
    CheckConstraint(_one_of("kind", ("train", "measure", "external")), name="kind"),
    CheckConstraint("epoch >= 0 AND attempts BETWEEN 0 AND epoch", name="epoch"),
    UniqueConstraint("trial_id", "position"),
    UniqueConstraint("trial_id", "name"),
    # The claim reads this alone: however many trials have ended, few stages are ready.
    Index(
        "ix_stages_ready",
        "experiment_id",
        sqlite_where=text("status = 'ready'"),
        postgresql_where=text("status = 'ready'"),
    ),
)

workers = Table(
    "workers",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME, nullable=False),
    Column("token_id", ForeignKey("tokens.id")),
    Column("status", _STATUS, nullable=False),
    Column("device", _NAME, ForeignKey("devices.name"), nullable=False),
    Column("slots", Integer, nullable=False),
    Column("stages", JsonText, nullable=False),
    Column("search_spaces", JsonText, nullable=False),
    # What it can measure on: device, profile and runtimes of each.
    Column("targets", JsonText, nullable=False),
    Column("labels", JsonText, nullable=False),
    Column("resources", JsonText, nullable=False, server_default="{}"),
    Column("profile", JsonText, nullable=False),
    Column("version", _NAME, nullable=False),
    Column("ttl_s", Double, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("replaced_at", Moment),
    CheckConstraint(_one_of("status", ("online", "draining", "stopped")), name="status"),
    CheckConstraint("slots >= 1", name="slots"),
    Index(
        "uq_workers_name_current",
        "name",
        unique=True,
        sqlite_where=text("replaced_at IS NULL"),
        postgresql_where=text("replaced_at IS NULL"),
    ),
)

devices = Table(
    "devices",
    metadata,
    # One row per measuring device: locked while a measurement on it is given out.
    Column("name", _NAME, primary_key=True),
    Column("first_seen_at", Moment, nullable=False),
)

requirements = Table(
    "requirements",
    metadata,
    # What an experiment's trainings need, copied out of its spec for the claim to filter by.
    Column("experiment_id", ForeignKey(experiments.c.id), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("label", AnyText),
    Column("at_least", Double),
    CheckConstraint("(label IS NULL) <> (at_least IS NULL)", name="one_of_both"),
    Index(None, "experiment_id"),
)

worker_holds = Table(
    "worker_holds",
    metadata,
    # By name, for a hold outlives the worker's sessions; one whose time is over stays, as a mark.
    Column("worker", _NAME, primary_key=True),
    Column("kind", _STATUS, nullable=False),
    Column("note", AnyText, nullable=False),
    Column("held_at", Moment, nullable=False),
    Column("until", Moment),
    CheckConstraint(_one_of("kind", ("paused", "quarantined")), name="kind"),
)

target_profiles = Table(
    "target_profiles",
    metadata,
    # What all of an experiment's figures of one target are measured on: see `storage`'s module.
    Column("experiment_id", ForeignKey(experiments.c.id), primary_key=True),
    Column("target", _NAME, primary_key=True),
    Column("comparison_key", String(32), nullable=False),
    Column("device", _NAME, ForeignKey(devices.c.name), nullable=False),
    Column("runtime", _NAME, nullable=False),
    Column("runtime_version", _NAME, nullable=False),
    Column("profile", JsonText, nullable=False),
    Column("bound_at", Moment, nullable=False),
)

calibrations = Table(
    "calibrations",
    metadata,
    # Every timing of the reference network by itself, by what makes two of them comparable.
    Column("device", _NAME, ForeignKey(devices.c.name), primary_key=True),
    Column("reference", _NAME, primary_key=True),
    Column("runtime", _NAME, primary_key=True),
    Column("runtime_version", _NAME, primary_key=True),
    Column("threads", Integer, primary_key=True, autoincrement=False),
    Column("clock", _NAME, primary_key=True),
    Column("calibrated_at", Moment, primary_key=True),
    Column("latency_ms", Double, nullable=False),
    Column("sem_ms", Double, nullable=False),
    Column("n", BigInteger, nullable=False),
    # As of this one, while it was the newest. Null: too few before it, or it came late.
    Column("drift", JsonText),
    CheckConstraint(f"latency_ms BETWEEN 0 AND {_LARGEST}", name="latency_ms_finite"),
    CheckConstraint(f"sem_ms BETWEEN 0 AND {_LARGEST}", name="sem_ms_finite"),
    CheckConstraint("n >= 1", name="n"),
)

attempts = Table(
    "attempts",
    metadata,
    # The id is the lease's: an attempt and its lease are one thing.
    Column("id", _ID, primary_key=True),
    Column("stage_id", ForeignKey(stages.c.id), nullable=False),
    Column("trial_id", ForeignKey(trials.c.id), nullable=False),
    Column("experiment_id", ForeignKey(experiments.c.id), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("worker_id", ForeignKey(workers.c.id)),
    Column("token_id", ForeignKey("tokens.id")),
    Column("measure_device", ForeignKey(devices.c.name)),
    Column("claimed_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("outcome", _STATUS),
    Column("message", AnyText),
    Column("detail", AnyText),
    Column("environment", JsonText, nullable=False),
    # The report as it came and the answer it got, so that the same report gets the same answer.
    Column("report_digest", _SHA256),
    Column("reply", JsonText),
    # After so many steps a training went on from a checkpoint. Null: it began.
    Column("resumed_after_step", BigInteger),
    Column("log_characters", BigInteger, nullable=False),
    Column("curve_points", BigInteger, nullable=False),
    CheckConstraint(_one_of("outcome", AttemptOutcome), name="outcome"),
    CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
    CheckConstraint("epoch >= 1", name="epoch"),
    UniqueConstraint("stage_id", "epoch"),
    Index(
        "uq_attempts_open",
        "stage_id",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "uq_attempts_recorded",
        "stage_id",
        unique=True,
        sqlite_where=text(_one_of("outcome", RECORDED_OUTCOMES)),
        postgresql_where=text(_one_of("outcome", RECORDED_OUTCOMES)),
    ),
    Index(
        "uq_attempts_measure_device",
        "measure_device",
        unique=True,
        sqlite_where=text("ended_at IS NULL AND measure_device IS NOT NULL"),
        postgresql_where=text("ended_at IS NULL AND measure_device IS NOT NULL"),
    ),
    Index(
        "ix_attempts_expiring",
        "expires_at",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_attempts_held",
        "worker_id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(None, "trial_id"),
)

measurements = Table(
    "measurements",
    metadata,
    # Written only by the recorded attempt of a stage: a lost attempt leaves none.
    Column("trial_id", ForeignKey(trials.c.id), primary_key=True),
    Column("metric", _NAME, primary_key=True),
    Column("attempt_id", ForeignKey(attempts.c.id), nullable=False),
    Column("mean", Double, nullable=False),
    Column("sem", Double),
    Column("n", BigInteger, nullable=False),
    Column("unit", _NAME, nullable=False),
    Column("protocol", JsonText, nullable=False),
    # NaN fails the comparison on SQLite and is the largest double on PostgreSQL.
    CheckConstraint(f"mean BETWEEN -{_LARGEST} AND {_LARGEST}", name="mean_finite"),
    CheckConstraint(f"sem BETWEEN 0 AND {_LARGEST}", name="sem_finite"),
    CheckConstraint("n >= 1", name="n"),
)

curve_points = Table(
    "curve_points",
    metadata,
    Column("attempt_id", ForeignKey(attempts.c.id), primary_key=True),
    Column("metric", _NAME, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Double, nullable=False),
    CheckConstraint(f"value BETWEEN -{_LARGEST} AND {_LARGEST}", name="value_finite"),
    CheckConstraint("step >= 0", name="step"),
)

log_chunks = Table(
    "log_chunks",
    metadata,
    Column("attempt_id", ForeignKey(attempts.c.id), primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("text", AnyText, nullable=False),
    CheckConstraint('"offset" >= 0', name="offset"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME, nullable=False),
    Column("secret_sha256", _SHA256, nullable=False),
    Column("scopes", JsonText, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
    # The only worker that it speaks for. Null: for any.
    Column("worker", _NAME),
    # Of a one-use token: when, by whom and in which session it was used.
    Column("spent_at", Moment),
    Column("spent_by", AnyText),
    Column("session_sha256", _SHA256),
    Index(None, "worker"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("sha256", _SHA256, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("size_bytes >= 0", name="size_bytes"),
    CheckConstraint("length(sha256) = 64", name="sha256"),
)

attempt_artifacts = Table(
    "attempt_artifacts",
    metadata,
    Column("attempt_id", ForeignKey(attempts.c.id), primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("sha256", ForeignKey(artifacts.c.sha256), nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    # States of trainings under way; the row goes after its file, so that no file stays behind.
    Column("id", _ID, primary_key=True),
    Column("stage_id", ForeignKey(stages.c.id), nullable=False),
    Column("attempt_id", ForeignKey(attempts.c.id), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("sha256", _SHA256, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("status", _STATUS, nullable=False),
    Column("saved_at", Moment, nullable=False),
    CheckConstraint(_one_of("status", ("arriving", "kept", "superseded")), name="status"),
    CheckConstraint("step >= 0", name="step"),
    Index(
        "uq_checkpoints_kept",
        "stage_id",
        unique=True,
        sqlite_where=text("status = 'kept'"),
        postgresql_where=text("status = 'kept'"),
    ),
    Index(None, "sha256"),
)

events = Table(
    "events",
    metadata,
    # BIGINT is no rowid on SQLite, and only a rowid counts by itself there.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", _NAME, nullable=False),
    Column("at", Moment, nullable=False),
    Column("experiment_id", ForeignKey(experiments.c.id)),
    Column("trial_number", Integer),
    Column("data", JsonText, nullable=False),
    Index(None, "experiment_id", "id"),
    sqlite_autoincrement=True,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", _NAME, primary_key=True),
    # Empty for an anonymous caller: a primary key takes no null.
    Column("token_id", _ID, primary_key=True),
    Column("request_hash", _SHA256, nullable=False),
    # Null while the deed is under way in the transaction that wrote the row.
    Column("status", Integer),
    Column("body", AnyText),
    Column("created_at", Moment, nullable=False),
    Index(None, "created_at"),
)
