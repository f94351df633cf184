"""A lease: the fencing token under which one worker works on one stage."""

from datetime import datetime

from search_spaces.values import Value
from service.domain.trial import AttemptOutcome


class LeaseTimes(Value):
    """The intervals a server dictates to its workers.

    A worker without a renewal stops itself `stop_margin_s` before its lease ends, on its own
    monotonic clock; only the database's clock decides that a lease has expired.
    """

    ttl_s: float = 60.0
    heartbeat_s: float = 15.0
    reap_s: float = 5.0
    stop_margin_s: float = 5.0


class Lease(Value):
    """One attempt at one stage. Only the newest epoch of a stage may report."""

    id: str
    stage_id: str
    trial_id: str
    experiment_id: str
    epoch: int
    worker_id: str | None
    claimed_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    outcome: AttemptOutcome | None = None
