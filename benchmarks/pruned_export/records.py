"""Results kept as one JSON line per measurement, and the page made of them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import pruned_export
from benchmarks.pruned_export.speed import BLOCKS, FORMS, RUNTIMES, Case
from benchmarks.records import Line, add, measured_on, read
from benchmarks.source_commit import commit_of
from service.domain.runtimes import Precision

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("README.md")
_PACKAGES = ("torch", "transformers", "onnxruntime", "openvino")
_BAR = 0.10


def keep(case: Case, figures: dict[str, Any], results: Path = RESULTS) -> None:
    """Adds the measurement with the sources' commits and what it was measured on."""
    line = {
        "commit": commit_of("search_spaces/language/depth_pruned_llm"),
        "measurement_commit": commit_of("workers/measurement"),
        **measured_on(_PACKAGES),
        "case": asdict(case),
        "figures": figures,
    }
    add(line, results)


def write_table(results: Path = RESULTS, table: Path = TABLE) -> None:
    """Writes the page of all kept measurements."""
    table.write_text(text_of(read(results)), encoding="utf-8")


def text_of(lines: Sequence[Line]) -> str:
    """The page; a row for each runtime and count of blocks."""
    last = lines[-1]
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    loads = [line["load"] for line in lines]
    parts = [
        "# Tokens per second of a pruned export",
        "",
        "Written by `python -m benchmarks.pruned_export table` from `results.jsonl`;",
        "`make bench-pruned-export` takes what is not kept yet.",
        "",
        (pruned_export.__doc__ or "").strip(),
        "",
        "Median (least to largest) of the seeds; `of`: the speed-up in per cent of 30 / (30 - n).",
        "",
        (
            "| runtime | precision | blocks | tokens per s | speed-up | 30 / (30 - n) | of | seeds "
            "| noisy | met |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
        *(
            _row(found, runtime, removed, precision)
            for runtime in RUNTIMES
            for precision, removed in FORMS
            if (found := _of(lines, runtime, removed, precision))
        ),
        "",
        (
            f"Machine: {last['machine']}; load {min(loads):g} to {max(loads):g}, our own included. "
            f"{versions}. Commits {_commits(lines, 'commit')} and, of the measuring protocol, "
            f"{_commits(lines, 'measurement_commit')}."
        ),
        "",
    ]
    return "\n".join(parts)


def _commits(lines: Sequence[Line], of: str) -> str:
    return ", ".join(sorted({line[of] for line in lines}))


def _of(lines: Sequence[Line], runtime: str, removed: int, precision: Precision) -> list[Line]:
    def is_wanted(case: Case) -> bool:
        return (case.runtime, case.removed, case.precision) == (runtime, removed, precision)

    return [line for line in lines if is_wanted(Case(**line["case"]))]


def _row(lines: Sequence[Line], runtime: str, removed: int, precision: Precision) -> str:
    expected = Case(runtime, removed, 0, precision=precision).expected_speedup
    speedups = [line["figures"]["speedup"] for line in lines]
    shares = [speedup / expected for speedup in speedups] if expected else []
    cells = (
        runtime,
        precision,
        f"{BLOCKS - removed} of {BLOCKS}",
        _spread([line["figures"]["tokens_per_s"] for line in lines], ".1f"),
        _spread(speedups, ".3f"),
        f"{expected:.3f}" if expected else "",
        _spread([100 * share for share in shares], ".1f") if shares else "",
        str(len({line["case"]["seed"] for line in lines})),
        str(sum(line["figures"]["noisy"] for line in lines)),
        ("yes" if abs(median(shares) - 1) <= _BAR else "no") if shares else "",
    )
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
