"""The fleet's counts for Prometheus, read from the database when they are asked for."""

import threading
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.domain.trial import TrialStatus
from service.storage.database import Database
from service.storage.statistics import FleetCounts, fleet_counts

_KEEP_S = 2.0


class FleetMetrics(Collector):
    """Gauges over the whole database.

    `/metrics` answers without a token, so the counts are kept for `_KEEP_S`: whoever asks, the
    database is not asked more often.
    """

    def __init__(self, database: Database, registry: CollectorRegistry) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._counts: FleetCounts | None = None
        self._counted_at_s = 0.0
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not touch the database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        counts = self._current()
        trials = GaugeMetricFamily("archfront_trials", "Trials by status.", labels=["status"])
        for status, count in counts.trials_by_status.items():
            trials.add_metric([status], count)
        yield trials
        experiments = GaugeMetricFamily(
            "archfront_experiments", "Experiments by status.", labels=["status"]
        )
        for status, count in counts.experiments_by_status.items():
            experiments.add_metric([status], count)
        yield experiments
        for name, text, value in (
            ("open_leases", "Leases held by workers.", counts.open_leases),
            ("workers_online", "Workers heard of within a lease's life.", counts.workers_online),
            (
                "candidates",
                "Candidates ready in the pools.",
                counts.trials_by_status[TrialStatus.CANDIDATE],
            ),
            (
                "oldest_ready_stage_seconds",
                "How long a ready stage of a running trial has waited for a worker.",
                counts.oldest_ready_s,
            ),
        ):
            yield GaugeMetricFamily(f"archfront_{name}", text, value=value)

    def _current(self) -> FleetCounts:
        with self._lock:
            if self._counts is None or time.monotonic() - self._counted_at_s > _KEEP_S:
                with self._database.read() as connection:
                    self._counts = fleet_counts(connection)
                self._counted_at_s = time.monotonic()
            return self._counts
