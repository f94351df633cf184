"""Writes results.md and the plots from the kept runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.optimizer.cost import Cost, load_costs
from benchmarks.optimizer.peers.registry import PEER_NAMES, QUASI_RANDOM
from benchmarks.optimizer.plots import write_plot
from benchmarks.optimizer.problems.registry import PROBLEM_NAMES
from benchmarks.optimizer.records import RESULTS_FOLDER, Run, load_runs
from benchmarks.optimizer.statistics import (
    Spread,
    best_peer,
    cost_at,
    growth_exponent,
    hypervolume_at,
    of_optimizer,
    ratio_to_best_peer,
    trials_needed,
)

PAGE: Final = Path(__file__).parent / "results.md"
_AT = (25, 50, 100, 200)
_COST_AT = (20, 50, 100, 200)
_HIGH_DIMENSIONAL = (
    "dtlz2_d20",
    "dtlz2_d20_bent",
    "zdt3_d20",
    "compression24",
    "compression24_noisy",
)
_OURS = "auto"

_HEAD = """# The optimizer against its peers: results

Written by `python -m benchmarks.optimizer table`; how to read and renew it: [README.md](README.md).
"""
_COMPARISON_HEAD = """\
Ratio of median hypervolumes; the bar is 1.00, on the high-dimensional problems (*) 1.03. `needs`:
trials after which the median of `auto` has what the best peer's has at 100.

| problem | best at 50 | `auto` / it | best at 100 | `auto` / it | needs | seeds: ours, its |
|---|---|---|---|---|---|---|"""
_COST_HEAD = """\
24 mixed parameters, 2 objectives (compression24), one thread, a fresh process each; the history is
one of pymoo's NSGA-II.

| trials | CPU s, median | least | most | seeds |
|---|---|---|---|---|"""


def write_page(results: Path = RESULTS_FOLDER, page: Path = PAGE) -> None:
    """Writes the page, and one plot per problem into `figures` beside it."""
    runs = {name: found for name in PROBLEM_NAMES if (found := load_runs(name, results))}
    for name, found in runs.items():
        write_plot(name, found, page.parent / "figures" / f"{name}.svg")
    page.write_text(render(runs, load_costs(results)))


def render(runs: dict[str, list[Run]], costs: Sequence[Cost] = ()) -> str:
    """The whole page."""
    parts = [
        _HEAD,
        _machines([run for found in runs.values() for run in found]),
        "## `auto` and the best peer\n",
        _comparison(runs),
    ]
    if costs:
        parts += ["## Cost of one suggestion of `auto`\n", _cost_table(costs)]
    parts.append("## Every problem\n")
    for name, found in runs.items():
        parts += [f"### {name}\n", _problem_table(found), f"![{name}](figures/{name}.svg)\n"]
    return "\n".join(parts)


def _comparison(runs: dict[str, list[Run]]) -> str:
    lines = [_COMPARISON_HEAD]
    for name, found in runs.items():
        star = "*" if name in _HIGH_DIMENSIONAL else ""
        cells = [f"{name}{star}"]
        for trials in (50, 100):
            best = best_peer(found, trials)
            ratio = ratio_to_best_peer(found, _OURS, trials)
            cells += [best[0] if best else "-", "-" if ratio is None else f"{ratio:.3f}"]
        ours, best = of_optimizer(found, _OURS), best_peer(found, 100)
        needed = trials_needed(found, _OURS, 100)
        longest = min((run.trials for run in ours), default=0)
        unreached = f"> {longest}" if ours and best else "-"
        cells.append(str(needed) if needed else unreached)
        cells.append(f"{len(ours)}, {best[1].seeds if best else 0}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _problem_table(runs: Sequence[Run]) -> str:
    head = [*(f"at {n}" for n in _AT), *(f"CPU s at {n}" for n in _COST_AT)]
    lines = [
        "Hypervolume: median (quartiles). CPU seconds of one suggestion: median.\n",
        f"| optimizer | seeds | {' | '.join(head)} |",
        "|---|---|" + "---|" * len(head),
    ]
    for optimizer in _in_order(runs):
        found = of_optimizer(runs, optimizer)
        cells = [_shown(hypervolume_at(found, n), _with_quartiles) for n in _AT]
        cells += [_shown(cost_at(found, n), _seconds) for n in _COST_AT]
        lines.append(f"| {optimizer} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _in_order(runs: Sequence[Run]) -> list[str]:
    """Ours first (`auto` before the others), then the peers, then the quasi-random floor."""
    names = {run.optimizer for run in runs}
    ours = sorted(names - {*PEER_NAMES, QUASI_RANDOM}, key=lambda name: (name != _OURS, name))
    ordered = [*ours, *PEER_NAMES, QUASI_RANDOM]
    return [name for name in ordered if name in names]


def _shown(spread: Spread | None, form: Callable[[Spread], str]) -> str:
    return "-" if spread is None else form(spread)


def _with_quartiles(spread: Spread) -> str:
    return f"{spread.median:.4g} ({spread.lower:.4g}-{spread.upper:.4g})"


def _seconds(spread: Spread) -> str:
    return f"{spread.median:.2g}"


def _cost_table(costs: Sequence[Cost]) -> str:
    sizes = sorted({cost.trials for cost in costs})
    lines = [_COST_HEAD]
    medians = []
    for size in sizes:
        seconds = sorted(cost.cpu_s for cost in costs if cost.trials == size)
        middle = seconds[len(seconds) // 2]
        medians.append(middle)
        lines.append(
            f"| {size} | {middle:.2f} | {seconds[0]:.2f} | {seconds[-1]:.2f} | {len(seconds)} |"
        )
    if len(sizes) > 1:
        lines.append(f"\nGrowth: CPU s ~ n^{growth_exponent(sizes, medians):.2f} over all sizes.")
    loads = sorted(cost.load_average for cost in costs)
    versions = ", ".join(sorted({cost.commit for cost in costs}))
    lines.append(
        f"\n{costs[0].processor}; load average {loads[0]:.1f} to {loads[-1]:.1f} before; "
        f"commit {versions}.\n"
    )
    return "\n".join(lines)


def _machines(runs: Sequence[Run]) -> str:
    if not runs:
        return "No run is kept yet.\n"
    machines = sorted(
        {f"{r.machine['processor']}, {r.machine['cores']} cores, {r.machine['system']}, "
         f"Python {r.machine['python']}" for r in runs if r.machine}
    )  # fmt: skip
    loads = sorted(run.machine["load_average"] for run in runs if run.machine)
    versions = sorted({run.version for run in runs if run.optimizer in PEER_NAMES})
    commits = sorted({run.commit for run in runs if run.optimizer == _OURS})
    machine = (
        f"- Machine: {'; '.join(machines)}. One thread per run, other work beside it: load average "
        f"{loads[0]:.1f} to {loads[-1]:.1f} when the runs began. CPU seconds are upper bounds."
    )
    return f"""{machine}
- Peers: {"; ".join(versions) or "none yet"}.
- `auto`: commit {", ".join(commits) or "not run yet"}.
- {len(runs)} runs, {min(r.date for r in runs)} to {max(r.date for r in runs)}.
"""
