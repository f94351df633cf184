"""The results: one compact JSON line per finished run in results/<problem>.jsonl."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS_FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Run:
    """A finished run.

    hypervolume, cpu_s: after and for each trial (see `runs.steps`).
    version: the peer's package; for our strategies the commit, `+` where the tree was changed.
    machine: processor, cores, system, Python, and the load average when the run began.
    """

    problem: str
    optimizer: str
    seed: int
    hypervolume: tuple[float, ...]
    cpu_s: tuple[float, ...]
    wall_s: float
    version: str
    commit: str
    date: str
    packages: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def trials(self) -> int:
        """How many trials it ran."""
        return len(self.hypervolume)

    @property
    def key(self) -> tuple[str, int]:
        """Which run of its problem it is."""
        return self.optimizer, self.seed


def load_runs(problem: str, folder: Path = RESULTS_FOLDER) -> list[Run]:
    """The problem's finished runs, by optimizer and seed; none yet gives an empty list."""
    path = folder / f"{problem}.jsonl"
    if not path.exists():
        return []
    return [_read(line) for line in path.read_text().splitlines() if line.strip()]


def keep_run(run: Run, folder: Path = RESULTS_FOLDER) -> None:
    """Writes the run in the place of an earlier one of its optimizer and seed.

    Safe beside another process that keeps runs in the same folder, and against being killed:
    the file is replaced as a whole, under a lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        kept = {other.key: other for other in load_runs(run.problem, folder)}
        kept[run.key] = run
        lines = [_written(kept[key]) for key in sorted(kept)]
        path = folder / f"{run.problem}.jsonl"
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text("\n".join(lines) + "\n")
        unfinished.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _written(run: Run) -> str:
    fields = asdict(run)
    fields["hypervolume"] = [_rounded(value, 6) for value in run.hypervolume]
    fields["cpu_s"] = [_rounded(value, 3) for value in run.cpu_s]
    fields["wall_s"] = round(run.wall_s, 1)
    return json.dumps(fields, separators=(",", ":"))


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _read(line: str) -> Run:
    fields = json.loads(line)
    fields["hypervolume"] = tuple(fields["hypervolume"])
    fields["cpu_s"] = tuple(fields["cpu_s"])
    return Run(**fields)
