"""The pairs of runs on disk, and what they say."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

BAR_PERCENT = 2.0
_BEGIN, _END = "<!-- table -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Run:
    """One measurement: `way` "local" or "ssh"; sem_ms as the protocol itself tells it."""

    way: str
    latency_ms: float
    sem_ms: float
    pairs: int
    ended_by: str
    seconds: float
    load_average: float


@dataclass(frozen=True)
class PairOfRuns:
    """Both ways, one right after the other, and what they were taken with."""

    network: str
    local: Run
    ssh: Run
    versions: Mapping[str, str]

    @property
    def ratio(self) -> float:
        """SSH over local."""
        return self.ssh.latency_ms / self.local.latency_ms


def append(path: Path, pair: PairOfRuns) -> None:
    """One line for each pair."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(pair)) + "\n")


def read(path: Path) -> list[PairOfRuns]:
    """All pairs, in the order of their making."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [
        PairOfRuns(one["network"], Run(**one["local"]), Run(**one["ssh"]), one["versions"])
        for one in map(json.loads, lines)
    ]


def interval_of_median(ratios: Sequence[float], resamples: int = 10_000) -> tuple[float, float]:
    """The 95 % interval of the median, by bootstrap over pairs of runs."""
    random = np.random.default_rng(0)
    drawn = random.choice(np.asarray(ratios), (resamples, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


def tables(pairs: Sequence[PairOfRuns]) -> str:
    """Of each network a row for each pair, and the verdict."""
    names = dict.fromkeys(pair.network for pair in pairs)
    if not names:
        return "Nothing is recorded yet."
    return "\n\n".join(
        f"## The {name} network\n\n{_table([pair for pair in pairs if pair.network == name])}"
        for name in names
    )


def _table(pairs: Sequence[PairOfRuns]) -> str:
    lines = ["| pair | local, ms | ssh, ms | ssh / local | load |", "|---|---|---|---|---|"]
    for number, pair in enumerate(pairs, 1):
        local, ssh = (f"{run.latency_ms:.4f} ± {run.sem_ms:.4f}" for run in (pair.local, pair.ssh))
        load = f"{max(pair.local.load_average, pair.ssh.load_average):.1f}"
        lines.append(f"| {number} | {local} | {ssh} | {pair.ratio:.4f} | {load} |")
    ratios = [pair.ratio for pair in pairs]
    median, (low, high) = statistics.median(ratios), interval_of_median(ratios)
    spread = 100 * statistics.stdev(ratios) if len(ratios) > 1 else float("nan")
    off_percent = 100 * abs(median - 1)
    verdict = "within" if off_percent <= BAR_PERCENT else "beyond"
    versions = ", ".join(f"{name} {version}" for name, version in pairs[-1].versions.items())
    told = (
        f"**Median of {len(ratios)} ratios: {median:.4f}** (95 % interval {low:.4f} to {high:.4f}; "
        f"standard deviation from pair to pair {spread:.2f} %): {off_percent:.2f} % off, {verdict} "
        f"the bar of {BAR_PERCENT:g} %."
    )
    lines += ["", told, "", f"Taken with {versions}."]
    return "\n".join(lines)


def write_table(path: Path, pairs: Sequence[PairOfRuns]) -> None:
    """Puts the table between its marks in the file at `path`."""
    before, _, rest = path.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{_BEGIN}\n{tables(pairs)}\n{_END}{after}")
