"""Simulated workers: they claim and report over HTTP as real ones do, and sleep in between."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.asynchrony.http_client import Connection
from benchmarks.asynchrony.served import Served

SPACE = "nlu_encoder"
_PROFILE = {
    "processor": "simulated",
    "architecture": "none",
    "cores": 1,
    "system": "simulated",
    "kernel": "none",
    "governor": None,
    "torch": None,
}
_LONG_POLL_S = 5.0


@dataclass(frozen=True)
class Claim:
    """One lease as its worker saw it.

    waited_s: from asking to holding it, long poll included. is_new: a candidate began.
    source: who proposed the arm, of new ones.
    """

    asked_at: float
    waited_s: float
    is_new: bool
    stage: str
    trial_number: int


@dataclass
class SimulatedWorker:
    """A worker of one slot that has the device it measures on for itself."""

    name: str
    worker_id: str
    connection: Connection
    metrics: Mapping[str, Sequence[Mapping[str, Any]]]
    claims: list[Claim] = field(default_factory=list)
    report_s: list[float] = field(default_factory=list)
    empty_claims: int = 0

    async def claim(
        self, wait_s: float = _LONG_POLL_S, key: str | None = None
    ) -> dict[str, Any] | None:
        """The next lease, once there is one; None if none came within `wait_s`.

        key: as of `Connection.post`; with the same one the same lease comes again.
        """
        asked_at = time.perf_counter()
        body = {"worker_id": self.worker_id, "wait_s": wait_s}
        grant = await self.connection.post("/v1/leases", body, key)
        if grant is None:
            self.empty_claims += 1
            return None
        waited_s = time.perf_counter() - asked_at
        is_new = grant["epoch"] == 1 and not grant["inputs"] and grant["stage"] == self._first
        self.claims.append(Claim(asked_at, waited_s, is_new, grant["stage"], grant["trial_number"]))
        return grant

    async def complete(self, grant: Mapping[str, Any], key: str | None = None) -> None:
        """Reports made-up results that depend smoothly on the arm; key: of `Connection.post`."""
        started = time.perf_counter()
        body = {"epoch": grant["epoch"], "measurements": self._results(grant)}
        await self.connection.post(f"/v1/leases/{grant['lease_id']}/complete", body, key)
        self.report_s.append(time.perf_counter() - started)

    async def heartbeat(
        self, grant: Mapping[str, Any], curve: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Renews the lease and passes on points of the learning curve, as a worker does."""
        path = f"/v1/leases/{grant['lease_id']}/heartbeat"
        await self.connection.post(path, {"epoch": grant["epoch"], "curve": list(curve)}, key="")

    @property
    def _first(self) -> str:
        return next(iter(self.metrics))

    def _results(self, grant: Mapping[str, Any]) -> dict[str, float]:
        numbers = [
            math.log1p(abs(float(value)))
            for _, value in sorted(grant["arm"]["parameters"].items())
            if isinstance(value, int | float)
        ]
        size = sum(numbers) / (1 + len(numbers))
        results = {}
        for place, metric in enumerate(self.metrics[grant["stage"]]):
            slope = 1.0 if metric["better"] == "lower" else -1.0
            detail = math.sin(size * (place + 1)) / 10
            is_share = metric.get("unit") == "share"
            results[metric["name"]] = (
                0.5 + detail if is_share else 5.0 + slope * size / (1 + place) + detail
            )
        return results


async def fleet(server: Served, experiment: Mapping[str, Any], count: int) -> list[SimulatedWorker]:
    """So many registered workers, each with a connection of its own."""
    spec = experiment["spec"]
    space = spec["search_space"]
    stages = ("measure", "train") if spec["measurement"]["untrained"] else ("train", "measure")
    metrics = {stage: [m for m in experiment["metrics"] if m["stage"] == stage] for stage in stages}
    workers = []
    for index in range(count):
        connection = Connection(server.host, server.port, server.token)
        name = f"simulated-{index}"
        answer = await connection.post(
            "/v1/workers",
            {
                "name": name,
                "device": f"device-of-{name}",
                "slots": 1,
                "search_spaces": [space],
                "targets": [
                    {
                        "name": "this-host",
                        "device": f"device-of-{name}",
                        "profile": _PROFILE,
                        "runtimes": {spec["measurement"]["runtime"]: "simulated"},
                    }
                ],
            },
        )
        if answer is None:
            raise RuntimeError("the registration was not answered")
        workers.append(SimulatedWorker(name, answer["worker_id"], connection, metrics))
    return workers


async def create_experiment(server: Served, **changes: Any) -> dict[str, Any]:
    """A new search of the NLU space, of two objectives, as the API answers it."""
    connection = Connection(server.host, server.port, server.token)
    spec = {
        "name": "waiting",
        "search_space": SPACE,
        "objectives": [
            {"metric": "frame_error", "goal": "minimize"},
            {"metric": "latency_ms", "goal": "minimize"},
        ],
        **changes,
    }
    created = await connection.post("/v1/experiments", spec)
    if created is None:
        raise RuntimeError("the experiment was not created")
    await connection.close()
    return created


async def pool_filled(server: Served, experiment_id: str, candidates: int, limit_s: float) -> None:
    """Waits until so many candidates are ready. Raises: TimeoutError."""
    connection = Connection(server.host, server.port, server.token)
    async with asyncio.timeout(limit_s):
        while True:
            view = await connection.get(f"/v1/experiments/{experiment_id}")
            if view is not None and view["trial_counts"]["candidate"] >= candidates:
                break
            await asyncio.sleep(0.2)
    await connection.close()
