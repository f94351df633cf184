"""Grants of stages of the tiny search space, as a server would give them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from search_spaces.metric import MEASURED_METRICS
from service.domain.device import THIS_HOST
from service.schemas.leases import LeaseGrant

HARMLESS: dict[str, Any] = {"width": 8, "steps": 5, "step_s": 0.0, "behaviour": "train"}


def make_grant(parameters: dict[str, Any] | None = None, **changes: Any) -> LeaseGrant:
    """A grant to train the harmless arm, with what is given changed.

    A measurement is asked for all that every measurement gives.
    """
    measures = changes.get("stage_kind") == "measure"
    given = {
        "lease_id": "lease-1",
        "epoch": 1,
        "expires_at": datetime.now(UTC) + timedelta(seconds=60),
        "ttl_s": 60.0,
        "heartbeat_s": 0.1,
        "experiment_id": "experiment-1",
        "experiment_name": "tiny-search",
        "trial_number": 0,
        "stage": "train",
        "stage_kind": "train",
        "search_space": {"name": "tiny", "version": 1},
        "arm": {"parameters": HARMLESS | (parameters or {})},
        "seed": 7,
        "training": {},
        "measurement": {},
        "target": THIS_HOST if measures else None,
        "metrics": [metric.name for metric in MEASURED_METRICS] if measures else ["error"],
    }
    return LeaseGrant.model_validate(given | changes)
