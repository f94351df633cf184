"""Events on the wire: the append-only record of what happened, also streamed by SSE."""

from datetime import datetime
from typing import Any

from search_spaces.values import Value


class EventView(Value):
    """One thing that happened; `id` rises, and `Last-Event-ID` resumes after it."""

    id: int
    kind: str
    at: datetime
    experiment_id: str | None = None
    trial_number: int | None = None
    data: dict[str, Any] = {}
