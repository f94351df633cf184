"""What a worker adds to each training, beside importing the recipe.

A real server, a real worker and the recipe of the NLU space, with so few steps that a training
takes a second or two. Two waits count: from the lease (by the database's clock) to the first step
of the optimizer, and from its last step to the recorded result. Two things in them do not count:
importing the recipe, with torch and with torch's compiler, which the first optimizer of a process
imports; and exporting the network, where the experiment wants it trained and measured.
What counts contains what the recipe itself does before the first step and after the last: it reads
its prepared data, and evaluates the network on its test set.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import select

from benchmarks.asynchrony.served import Served, served
from benchmarks.worker_overhead.noting.sitecustomize import NOTES_VARIABLE
from service.client import Client
from service.domain.trial import AttemptOutcome
from service.storage.database import Database
from service.storage.tables import attempts, stages

_NOTING = Path(__file__).with_name("noting")
_STEPS = 20
_LIMIT_S = 120.0


@dataclass(frozen=True)
class TrialTimes:
    """Where the time of one training went, in seconds, in their order.

    before_process: from the lease to the start of the stage's process.
    before_torch: the interpreter, and the worker's own modules.
    torch, recipe, compiler: their imports.
    before_training: until the recipe's `train` is entered.
    preparing: the recipe's own, until its first step, without the compiler's import.
    training: its steps.
    evaluating: the recipe's own, after its last step.
    keeping: counting and saving weights, writing the result. export: of the network.
    reporting: the end of the process, and all until the result is recorded.
    """

    before_process: float
    before_torch: float
    torch: float
    recipe: float
    before_training: float
    compiler: float
    preparing: float
    training: float
    evaluating: float
    keeping: float
    export: float
    reporting: float

    @property
    def overhead(self) -> float:
        """What counts."""
        return self.workers_own + self.preparing + self.evaluating

    @property
    def workers_own(self) -> float:
        """Of what counts, that which the recipe has no part in."""
        before = self.before_process + self.before_torch + self.before_training
        return before + self.keeping + self.reporting


PARTS = tuple(field.name for field in fields(TrialTimes))


@dataclass(frozen=True)
class OverheadRun:
    """One run; seconds, each the median over the trials.

    own_s: of the overhead, that which the recipe has no part in.
    parts_s: by the names of `TrialTimes`. overhead_p90_s: of nine in ten trials at most.
    """

    trials: int
    exports: bool
    overhead_s: float
    overhead_p90_s: float
    own_s: float
    parts_s: dict[str, float]


def run(
    trials: int, *, warm_up: int = 1, exports: bool = False, folder: Path | None = None
) -> OverheadRun:
    """Trains so many arms one after another.

    warm_up: so many more come before, which fill the caches and are not counted.
    """
    with (
        tempfile.TemporaryDirectory(prefix="archfront-", dir=folder) as name,
        served("sqlite", Path(name)) as server,
    ):
        times = _trained(server, warm_up + trials, exports, Path(name))[warm_up:]
    return summary(times, exports)


def summary(times: Sequence[TrialTimes], exports: bool) -> OverheadRun:
    """The medians of these trials."""
    overheads = sorted(one.overhead for one in times)
    return OverheadRun(
        trials=len(times),
        exports=exports,
        overhead_s=statistics.median(overheads),
        overhead_p90_s=overheads[min(len(overheads) - 1, int(0.9 * len(overheads)))],
        own_s=statistics.median(one.workers_own for one in times),
        parts_s={part: statistics.median(getattr(one, part) for one in times) for part in PARTS},
    )


def _trained(server: Served, count: int, exports: bool, folder: Path) -> list[TrialTimes]:
    notes = folder / "notes"
    notes.mkdir()
    with Client(f"http://{server.host}:{server.port}", server.token) as client:
        spec = {
            "name": "overhead",
            "search_space": "nlu_encoder",
            "objectives": [
                {"metric": "frame_error", "goal": "minimize"},
                {"metric": "latency_ms", "goal": "minimize"},
            ],
            "training": {"max_steps": _STEPS},
            # Trained first, it is exported by the measuring stage, of which none runs here.
            "measurement": {"untrained": exports, "time_limit_s": 1.0},
            "optimizer": {"strategy": "sobol"},
            "budget": count,
            "max_parallel": count,
        }
        client.create_experiment(spec)
        with _worker(server, folder, notes, exports):
            database = Database(server.database_url)
            try:
                return _times(_recorded(database, count), notes)
            finally:
                database.dispose()


@contextmanager
def _worker(server: Served, folder: Path, notes: Path, exports: bool) -> Iterator[None]:
    command = [sys.executable, "-m", "service.cli", "worker", "--name", "measured"]
    command += ["--url", f"http://{server.host}:{server.port}"]
    command += ["--data", str(folder / "workers"), "--cache", str(folder / "cache")]
    command += [] if exports else ["--stages", "train"]
    environment = server.environment | {
        "ARCHFRONT_TOKEN": server.token,
        "PYTHONPATH": f"{_NOTING}:{Path.cwd()}",
        NOTES_VARIABLE: str(notes),
    }
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _recorded(database: Database, count: int) -> list[tuple[float, float]]:
    """When each training was leased, and when its result was recorded; in that order.

    Raises: TimeoutError if none was within the limit.
    """
    query = (
        select(attempts.c.claimed_at, attempts.c.ended_at, attempts.c.outcome)
        .join(stages, stages.c.id == attempts.c.stage_id)
        .where(stages.c.kind == "train", attempts.c.ended_at.is_not(None))
        .order_by(attempts.c.claimed_at)
    )
    found: list[Any] = []
    last_new_at = time.monotonic()
    while len(found) < count:
        if time.monotonic() - last_new_at > _LIMIT_S:
            raise TimeoutError(f"no training ended within {_LIMIT_S:g} s; see worker.log")
        time.sleep(0.5)
        with database.read() as connection:
            rows = connection.execute(query).all()
        if len(rows) > len(found):
            found, last_new_at = list(rows), time.monotonic()
    for row in found:
        if row.outcome != AttemptOutcome.SUCCEEDED:
            raise RuntimeError(f"a training ended as {row.outcome}")
    return [(row.claimed_at.timestamp(), row.ended_at.timestamp()) for row in found]


def _times(recorded: list[tuple[float, float]], notes: Path) -> list[TrialTimes]:
    noted = [
        {name: float(at) for name, at in map(str.split, path.read_text().splitlines())}
        for path in notes.glob("*.txt")
    ]
    trainings = sorted(
        (one for one in noted if "last_step" in one), key=lambda one: one["process_started"]
    )
    return [
        times_of(leased_at, recorded_at, notes_of)
        for (leased_at, recorded_at), notes_of in zip(recorded, trainings, strict=True)
    ]


def times_of(leased_at: float, recorded_at: float, notes: Mapping[str, float]) -> TrialTimes:
    """From the moments, in seconds since 1970, to what lies between them."""
    compiler = notes.get("compiler_ends", 0.0) - notes.get("compiler_begins", 0.0)
    export = notes.get("export_ends", 0.0) - notes.get("export_begins", 0.0)
    return TrialTimes(
        before_process=notes["process_started"] - leased_at,
        before_torch=notes["torch_begins"] - notes["process_started"],
        torch=notes["torch_ends"] - notes["torch_begins"],
        recipe=notes["recipe_ends"] - notes["recipe_begins"],
        before_training=(notes["recipe_begins"] - notes["torch_ends"])
        + (notes["train_begins"] - notes["recipe_ends"]),
        compiler=compiler,
        preparing=notes["first_step"] - notes["train_begins"] - compiler,
        training=notes["last_step"] - notes["first_step"],
        evaluating=notes["train_ends"] - notes["last_step"],
        keeping=notes["result_written"] - notes["train_ends"] - export,
        export=export,
        reporting=recorded_at - notes["result_written"],
    )
