"""The searches, a JSON line each, and the page made of them."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import nlu_search
from benchmarks.nlu_search.trained import SEEN_COMMANDS, TABLE
from benchmarks.records import Line, read

RESULTS = Path(__file__).with_name("searches.jsonl")
PAGE = Path(__file__).with_name("README.md")
TRIALS = 50
QUASI_RANDOM = "sobol"
_CLAIMED, _BAR = "auto", 1.10
_SHOWN = (10, 25, TRIALS)


def write_page(results: Path = RESULTS, trained: Path = TABLE, page: Path = PAGE) -> None:
    """Writes the page of all kept searches."""
    page.write_text(text_of(read(results), read(trained)), encoding="utf-8")


def dominating(front: Sequence[Sequence[float]], baseline: Sequence[float]) -> int:
    """How many points of the front are no worse than the baseline in both, and better in one."""
    return sum(
        all(a <= b for a, b in zip(point, baseline, strict=True)) and list(point) != list(baseline)
        for point in front
    )


def text_of(searches: Sequence[Line], trained: Sequence[Line]) -> str:
    """The page."""
    optimizers = list(dict.fromkeys(line["optimizer"] for line in searches))
    floor = {
        line["seed"]: line["hypervolume"] for line in searches if line["optimizer"] == QUASI_RANDOM
    }
    last = trained[-1]
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    baseline = searches[-1]["baseline"]
    parts = [
        "# Searching the command encoders, for real",
        "",
        "Written by `python -m benchmarks.nlu_search page` from `searches.jsonl` and",
        "`trained.jsonl`; `make bench-nlu-search` goes on where it was.",
        "",
        (nlu_search.__doc__ or "").strip(),
        "",
        "Median (least to largest) of the seeds. `ratio`: to the quasi-random search of the same",
        "seed, after 50 trials. `dominate`: trials that are no worse than the hand-tuned baseline",
        f"(frame error {baseline[0]:.3f}, {baseline[1]:.3f} ms) in both figures. `CPU s`: of the",
        "optimizer, for all of its trials.",
        "",
        "| search | seeds | at 10 | at 25 | at 50 | ratio | dominate | CPU s | met |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(name, searches, floor) for name in optimizers),
        "",
        (
            f"{len(trained)} networks trained on {SEEN_COMMANDS:,} commands each, "
            f"{sum(line['train_cpu_s'] for line in trained) / 60:.0f} CPU minutes; "
            f"{sum(line['noisy'] for line in trained)} measurements say that they are noisy. "
            f"Machine: {last['machine']}. {versions}. Optimizer at "
            f"{', '.join(sorted({line['commit'] for line in searches}))}, space at "
            f"{', '.join(sorted({line['commit'] for line in trained}))}, measuring protocol at "
            f"{', '.join(sorted({line['measurement_commit'] for line in trained}))}."
        ),
        "",
    ]
    return "\n".join(parts)


def _row(name: str, searches: Sequence[Line], floor: dict[int, list[float]]) -> str:
    lines = [line for line in searches if line["optimizer"] == name]
    ratios = [
        line["hypervolume"][TRIALS - 1] / floor[line["seed"]][TRIALS - 1]
        for line in lines
        if line["seed"] in floor
    ]
    dominate = [dominating(line["front"], line["baseline"]) for line in lines]
    met = bool(ratios) and median(ratios) >= _BAR and min(dominate) > 0
    cells = (
        name,
        str(len(lines)),
        *(_spread([line["hypervolume"][at - 1] for line in lines], ".4f") for at in _SHOWN),
        _spread(ratios, ".3f") if ratios else "",
        _spread(dominate, ".0f"),
        _spread([line["cpu_s"] for line in lines], ".0f"),
        ("yes" if met else "**no**") if name == _CLAIMED else "",
    )
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
