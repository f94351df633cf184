"""A simulated worker that works as a real one does: it beats for its lease, and tries again.

What is taken from `workers/`: the first beat at once, then one every interval the server
dictates; a beat or a report that fails is sent again after 0.5 s, then after twice as long each
time; a claim whose answer is lost is made again under its key.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from benchmarks.asynchrony.fleet import SimulatedWorker
from benchmarks.asynchrony.http_client import Refused, ServerAway

_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 15.0
_NOT_FOUND, _CONFLICT = 404, 409
_TOO_MANY, _SERVER_AT_FAULT = 429, 500
_LONG_POLL_S = 5.0

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Beat:
    """One heartbeat: when it was sent, and how long until its answer was read, or given up."""

    sent_at: float
    took_s: float


@dataclass
class BeatingWorker:
    """Works off stage after stage; all times are of `time.perf_counter`.

    stage_s: how long a stage of each kind takes on average; each half as long or half as long
        again.
    lost: leases the server no longer knew although this worker beat for them.
    away, refused: requests that nobody answered, and that were answered by an error which may
        pass. longest_silence_s: between two answers for one lease.
    """

    worker: SimulatedWorker
    stage_s: Mapping[str, float]
    rng: random.Random
    beats: list[Beat] = field(default_factory=list)
    lost: int = 0
    away: int = 0
    refused: int = 0
    longest_silence_s: float = 0.0

    async def work(self, begin: float, end: float) -> None:
        """Claims, beats and reports between these times; what it still holds then it drops."""
        await asyncio.sleep(begin - time.perf_counter())
        while (left_s := end - time.perf_counter()) > 0:
            claim = partial(self.worker.claim, min(_LONG_POLL_S, left_s), uuid.uuid4().hex)
            grant = await self._until_answered(claim, end)
            if grant is not None:
                await self._work_off(grant, end)

    async def _work_off(self, grant: Mapping[str, Any], end: float) -> None:
        done_at = time.perf_counter() + self.rng.uniform(0.5, 1.5) * self.stage_s[grant["stage"]]
        heard_at, step, retry_s = time.perf_counter(), 0, _FIRST_RETRY_S
        next_at = heard_at
        while next_at < min(done_at, end):
            await asyncio.sleep(next_at - time.perf_counter())
            outcome = await self._beat(grant, step)
            now = time.perf_counter()
            if outcome == "lost":
                return
            if outcome == "answered":
                self.longest_silence_s = max(self.longest_silence_s, now - heard_at)
                heard_at, step, retry_s = now, step + 1, _FIRST_RETRY_S
                next_at = now + grant["heartbeat_s"]
            else:
                next_at = now + min(retry_s, grant["heartbeat_s"])
                retry_s *= 2
        await asyncio.sleep(min(done_at, end) - time.perf_counter())
        if done_at < end:
            report = partial(self.worker.complete, grant, uuid.uuid4().hex)
            await self._until_answered(report, end)

    async def _beat(self, grant: Mapping[str, Any], step: int) -> str:
        is_training = grant["stage_kind"] == "train"
        curve = [{"step": step, "metrics": {"loss": 1 / (1 + step)}}] if is_training else []
        sent_at = time.perf_counter()
        try:
            await self.worker.heartbeat(grant, curve)
        except ServerAway:
            self.away += 1
            return "away"
        except Refused as error:
            return "lost" if self._is_final(error) else "refused"
        except asyncio.CancelledError:  # nobody waits any longer; it has taken so long at least
            self.beats.append(Beat(sent_at, time.perf_counter() - sent_at))
            raise
        self.beats.append(Beat(sent_at, time.perf_counter() - sent_at))
        return "answered"

    async def _until_answered(
        self, ask: Callable[[], Awaitable[Answer]], end: float
    ) -> Answer | None:
        """The answer; None if the lease is lost, or it is `end` first."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                return await ask()
            except ServerAway:
                self.away += 1
            except Refused as error:
                if self._is_final(error):
                    return None
            if time.perf_counter() + retry_s > end:
                return None
            await asyncio.sleep(self.rng.uniform(0.5, 1.0) * retry_s)
            retry_s = min(2 * retry_s, _LONGEST_RETRY_S)

    def _is_final(self, error: Refused) -> bool:
        if error.status in (_NOT_FOUND, _CONFLICT):
            self.lost += 1
            return True
        if error.status != _TOO_MANY and error.status < _SERVER_AT_FAULT:
            raise error  # the simulation itself is wrong
        self.refused += 1
        return False
