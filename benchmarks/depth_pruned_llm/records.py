"""Results kept as one JSON line per network, and the page made of them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.depth_pruned_llm import recovery
from benchmarks.depth_pruned_llm.recovery import (
    ARMS,
    LARGEST,
    LONGER,
    MERGED,
    NOT_RECOVERED,
    RATES,
    SIZES,
    Case,
    Outcome,
)
from benchmarks.records import Line, add, measured_on, read
from benchmarks.source_commit import commit_of
from search_spaces.language.depth_pruned_llm.network import BLOCKS

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


def keep(case: Case, outcome: Outcome, results: Path = RESULTS) -> None:
    """Adds the network with the arm, the space's commit, the versions, the machine, its load."""
    line = {
        "commit": commit_of(_SOURCE),
        **measured_on(_PACKAGES),
        "case": {"name": case.name, **asdict(case), "arm": case.arm.parameters},
        "outcome": asdict(outcome),
    }
    add(line, results)


def write_table(results: Path = RESULTS, table: Path = TABLE) -> None:
    """Writes the page of all kept networks."""
    table.write_text(text_of(read(results)), encoding="utf-8")


@dataclass(frozen=True)
class Setting:
    """What both kinds of responses are compared at: see `Case`."""

    exchanges: int
    learning_rate: float = RATES[0]
    variant: str = ""

    @property
    def label(self) -> str:
        """Its two cells of a table."""
        return f"{self.exchanges} | {self.learning_rate:g}"


SETTINGS = (*map(Setting, SIZES), *(Setting(LARGEST, rate) for rate in RATES[1:]))
_VARIED = tuple(Setting(LARGEST, rate, name) for rate in RATES for name in ("", LONGER, MERGED))
_BARE = Setting(0)


def _of(lines: Sequence[Line], responses: str, setting: Setting) -> dict[int, Line]:
    """By seed."""
    wanted = {"responses": responses, **asdict(setting)}
    return {
        line["case"]["seed"]: line
        for line in lines
        if wanted == {name: line["case"][name] for name in wanted}
    }


def _spread(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _figure(name: str, scale: float = 1.0) -> Callable[[Line], float]:
    return lambda line: scale * float(line["outcome"]["figures"][name])


_recovery = _figure("accuracy_recovery")


_COLUMNS = (
    (_recovery, ".1f"),
    (_figure("tuned_accuracy", 100), ".0f"),
    (_figure("forgetting", 100), ".1f"),
    (_figure("acceptance_rate", 100), ".0f"),
    (_figure("perplexity"), ".2f"),
)


def _figures_of(lines: Sequence[Line], responses: str, setting: Setting) -> list[str]:
    found = list(_of(lines, responses, setting).values())
    return [_spread([of(line) for line in found], form) for of, form in _COLUMNS]


def _row(lines: Sequence[Line], responses: str, setting: Setting) -> str:
    cells = [_LABELS[responses], "| " if setting == _BARE else setting.label]
    return f"| {' | '.join([*cells, *_figures_of(lines, responses, setting)])} |"


def _varied_row(lines: Sequence[Line], responses: str, setting: Setting) -> str:
    cells = [_LABELS[responses], setting.variant or "alone", f"{setting.learning_rate:g}"]
    return f"| {' | '.join([*cells, *_figures_of(lines, responses, setting)])} |"


def wins(lines: Sequence[Line], figure: Callable[[Line], float], setting: Setting) -> list[float]:
    """By how much self-distilled responses exceed given ones, on each seed that has both."""
    given, own = (_of(lines, arm, setting) for arm in ARMS)
    return [figure(own[seed]) - figure(given[seed]) for seed in sorted(given.keys() & own.keys())]


def _paired(lines: Sequence[Line], setting: Setting) -> str:
    recovered = wins(lines, _recovery, setting)
    forgotten = wins(lines, _figure("forgetting", 100), setting)
    better, kept_more = sum(one > 0 for one in recovered), sum(one < 0 for one in forgotten)
    cells = [
        setting.label,
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
    arm = dict(lines[0]["case"]["arm"])
    for name in ("responses", "exchanges", "learning_rate"):
        arm.pop(name)
    pruned = list(_of(lines, NOT_RECOVERED, _BARE).values())
    unpruned = [100 * float(line["outcome"]["notes"]["unpruned_accuracy"]) for line in pruned]
    accepted = [
        100 * line["outcome"]["notes"]["responses_accepted"] / LARGEST
        for line in _of(lines, "self_distilled", Setting(LARGEST)).values()
    ]
    papers = []
    for name in ARMS:
        found = (_of(lines, name, Setting(LARGEST, rate)).values() for rate in RATES)
        here = [_spread([_recovery(line) for line in of], ".1f") if of else "" for of in found]
        papers.append(f"| {_LABELS[name]} | {' | '.join(here)} | {_PAPER[name]} |")
    seconds = sum(float(line["outcome"]["cpu_s"]) for line in lines)
    seeds = sorted({line["case"]["seed"] for line in lines})
    return _PAGE.format(
        first=first,
        rest="\n".join(rest).strip(),
        papers="\n".join(papers),
        rows="\n".join(
            _row(lines, *one)
            for one in [(NOT_RECOVERED, _BARE), *((name, at) for at in SETTINGS for name in ARMS)]
            if _of(lines, *one)
        ),
        varied="\n".join(
            _varied_row(lines, name, at)
            for name in reversed(ARMS)
            for at in _VARIED
            if _of(lines, name, at)
        ),
        paired="\n".join(_paired(lines, at) for at in SETTINGS if _of(lines, ARMS[1], at)),
        rates=" | ".join(f"recovery %, rate {rate:g}" for rate in RATES),
        ruled="---|" * len(RATES),
        last_block=BLOCKS - 1,
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

| fine-tuned on | {rates} | the paper |
|---|{ruled}---|
{papers}

The paper's figures are of Llama-3.1-8B Instruct without 6 of its 32 blocks, over six benchmarks of
the OpenLLM Leaderboard v1; those here of a model of 0.3 million weights on five synthetic tasks.
What compares is the order and who forgets, not the height.

| | exchanges | rate | recovery % | accuracy on the tuned task % | \
forgotten of the others, points | drafts accepted % | perplexity |
|---|---|---|---|---|---|---|---|
{rows}

Self-distilled against given responses, seed by seed:

| exchanges | rate | recovery, points | better | forgotten, points | forgets less |
|---|---|---|---|---|---|
{paired}

Merged, by spherical interpolation, with a second network that was recovered on another task:

| | | rate | recovery % | accuracy on the tuned task % | forgotten of the others, points | \
drafts accepted % | perplexity |
|---|---|---|---|---|---|---|---|
{varied}

- `forgotten` is over the three tasks that no fine-tuning set has.
- The unpruned models' mean accuracy is {unpruned} %; of the responses that they wrote
  {accepted} % held the right answer and were taken, the others stayed as given.
- Blocks removed of 0 to {last_block}, seed by seed: {blocks}.
- `exchanges` is the size of the fine-tuning set; all sizes are trained for the same steps.
- Drafts: the network drafts four tokens at a time for the unpruned model, greedy decoding.

## Protocol
{arm}. Settings were chosen on other seeds than those shown, the rates so that neither kind of
responses is shown at the other's best alone. One thread; {machine}; {versions}; the search space
at {commits}; {minutes} CPU minutes in all.
"""
