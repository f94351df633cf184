"""Results kept as one JSON line per network, and the page made of them."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.depth_pruned_llm import recovery
from benchmarks.depth_pruned_llm.recovery import ARMS, NOT_RECOVERED, SIZES, Case, Outcome
from benchmarks.source_commit import commit_of

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("README.md")
_PACKAGES = ("torch", "transformers", "peft")
_SOURCE = "search_spaces/language/depth_pruned_llm"
_PAPER = {"given": "81.7", "self_distilled": "91.2"}
_LABELS = {
    NOT_RECOVERED: "pruned, not recovered",
    "given": "given responses (SFT)",
    "self_distilled": "self-distilled responses (SDD)",
}

Line = dict[str, Any]


def keep(case: Case, outcome: Outcome, results: Path = RESULTS) -> None:
    """Adds the network with the arm, the space's commit, the versions, the machine, its load."""
    line = {
        "commit": commit_of(_SOURCE),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "load": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
        "case": {"name": case.name, **asdict(case), "arm": case.arm.parameters},
        "outcome": asdict(outcome),
    }
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def kept(results: Path = RESULTS) -> list[Line]:
    """All lines; none where there is no file yet."""
    if not results.exists():
        return []
    with results.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_table(results: Path = RESULTS, table: Path = TABLE) -> None:
    """Writes the page of all kept networks."""
    table.write_text(text_of(kept(results)), encoding="utf-8")


def _of(lines: Sequence[Line], responses: str, exchanges: int) -> dict[int, Line]:
    """By seed."""
    return {
        line["case"]["seed"]: line
        for line in lines
        if (line["case"]["responses"], line["case"]["exchanges"]) == (responses, exchanges)
    }


def _spread(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _figure(name: str, scale: float = 1.0) -> Callable[[Line], float]:
    return lambda line: scale * float(line["outcome"]["figures"][name])


_recovery = _figure("accuracy_recovery")


def _row(lines: Sequence[Line], responses: str, exchanges: int) -> str:
    found = list(_of(lines, responses, exchanges).values())
    columns = (
        (_recovery, ".1f"),
        (_figure("tuned_accuracy", 100), ".0f"),
        (_figure("forgetting", 100), ".1f"),
        (_figure("acceptance_rate", 100), ".0f"),
        (_figure("perplexity"), ".2f"),
    )
    cells = [_LABELS[responses], str(exchanges or "")]
    cells += [_spread([of(line) for line in found], form) for of, form in columns]
    return f"| {' | '.join(cells)} |"


def wins(lines: Sequence[Line], figure: Callable[[Line], float], exchanges: int) -> list[float]:
    """By how much self-distilled responses exceed given ones, on each seed that has both."""
    given, own = (_of(lines, arm, exchanges) for arm in ARMS)
    return [figure(own[seed]) - figure(given[seed]) for seed in sorted(given.keys() & own.keys())]


def _paired(lines: Sequence[Line], exchanges: int) -> str:
    recovered = wins(lines, _recovery, exchanges)
    forgotten = wins(lines, _figure("forgetting", 100), exchanges)
    better, kept_more = sum(one > 0 for one in recovered), sum(one < 0 for one in forgotten)
    cells = [
        str(exchanges),
        _spread(recovered, "+.1f"),
        f"{better} of {len(recovered)}",
        _spread(forgotten, "+.1f"),
        f"{kept_more} of {len(forgotten)}",
    ]
    return f"| {' | '.join(cells)} |"


def text_of(lines: Sequence[Line]) -> str:
    """The page: medians over the seeds, with the least and the largest in brackets."""
    last = lines[-1]
    first, *rest = (recovery.__doc__ or "").strip().splitlines()
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    arm = {**last["case"]["arm"]}
    for name in ("responses", "exchanges"):
        arm.pop(name)
    largest = max(SIZES)
    pruned = list(_of(lines, NOT_RECOVERED, 0).values())
    unpruned = [100 * float(line["outcome"]["notes"]["unpruned_accuracy"]) for line in pruned]
    accepted = [
        100 * line["outcome"]["notes"]["responses_accepted"] / largest
        for line in _of(lines, "self_distilled", largest).values()
    ]
    papers = []
    for name in ARMS:
        here = _spread([_recovery(line) for line in _of(lines, name, largest).values()], ".1f")
        papers.append(f"| {_LABELS[name]} | {here} | {_PAPER[name]} |")
    seconds = sum(float(line["outcome"]["cpu_s"]) for line in lines)
    seeds = sorted({line["case"]["seed"] for line in lines})
    return _PAGE.format(
        first=first,
        rest="\n".join(rest).strip(),
        papers="\n".join(papers),
        rows="\n".join(
            _row(lines, *one)
            for one in [(NOT_RECOVERED, 0), *((name, size) for size in SIZES for name in ARMS)]
            if _of(lines, *one)
        ),
        paired="\n".join(_paired(lines, size) for size in SIZES if _of(lines, ARMS[1], size)),
        unpruned=_spread(unpruned, ".1f"),
        accepted=_spread(accepted, ".1f"),
        blocks="; ".join(str(line["outcome"]["notes"]["removed_blocks"]) for line in pruned),
        arm=", ".join(f"{name} {value}" for name, value in arm.items()),
        seeds=", ".join(map(str, seeds)),
        machine=last["machine"],
        versions=versions,
        commits=", ".join(sorted({str(line["commit"]) for line in lines})),
        minutes=f"{seconds / 60:.0f}",
    )


_PAGE = """# Whether a pruned language model recovers better on its own words

Written by `python -m benchmarks.depth_pruned_llm table` from `results.jsonl`;
`make bench-depth-pruned-llm` adds what is missing there.

{first}

{rest}

Recovery is the mean accuracy over all tasks in per cent of the unpruned model's. Median over the
seeds {seeds}, with the least and the largest.

| fine-tuned on | recovery %, here | recovery %, the paper |
|---|---|---|
{papers}

The paper's figures are of Llama-3.1-8B Instruct without 6 of its 32 blocks, over six benchmarks of
the OpenLLM Leaderboard v1; those here of a model of 0.4 million weights on five synthetic tasks.
What compares is the order and who forgets, not the height.

| | exchanges | recovery % | accuracy on the tuned task % | forgotten of the others, points | \
drafts accepted % | perplexity |
|---|---|---|---|---|---|---|
{rows}

Self-distilled against given responses, seed by seed:

| exchanges | recovery, points | better | forgotten, points | forgets less |
|---|---|---|---|---|
{paired}

- The unpruned models' mean accuracy is {unpruned} %; of the responses that they wrote
  {accepted} % held the right answer and were taken, the others stayed as given.
- Blocks removed of 0 to 7, seed by seed: {blocks}.
- `exchanges` is the size of the fine-tuning set; all sizes are trained for the same steps.
- Drafts: the network drafts four tokens at a time for the unpruned model, greedy decoding.

## Protocol
{arm}. Chosen on other seeds than those shown. One thread; {machine}; {versions}; the search space
at {commits}; {minutes} CPU minutes in all.
"""
