"""The page of figures: medians over the seeds, the least and the largest in brackets."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import benchmarks.runtimes
from benchmarks.runtimes.networks import DESCRIPTIONS
from service.domain.runtimes import RUNTIME_PRECISIONS

Record = dict[str, Any]

SPARSE = {"wide_blocks": "90 % zeros in blocks of 16 x 1", "wide_single": "90 % single zeros"}
DENSE = "wide"


def text_of(records: Sequence[Record]) -> str:
    """The whole page, of the newest record of each case on the processor measured last."""
    if not records:
        return "Nothing is measured yet.\n"
    newest = _newest(records)
    timed = [one["reference_ms"] for one in newest if "failed" not in one]
    unit_ms = statistics.median(timed) if timed else math.nan
    parts = ["# Runtimes compared", "", _head(newest, unit_ms), ""]
    failures: list[str] = []
    for network, told in DESCRIPTIONS.items():
        of_network = [one for one in newest if one["network"] == network]
        if network in SPARSE or not of_network:
            continue
        parts += [
            f"## {network.capitalize()}: {told}",
            "",
            *_rows(of_network, unit_ms, failures),
            "",
        ]
    parts += ["## What zeros gain", "", *_sparsity_rows(newest), ""]
    if failures:
        parts += ["## What cannot be", "", *(f"- {one}" for one in dict.fromkeys(failures)), ""]
    return "\n".join(parts)


def _newest(records: Sequence[Record]) -> list[Record]:
    processor = records[-1]["processor"]
    found = {}
    for one in records:
        if one["processor"] == processor:
            found[one["network"], one["runtime"], one["precision"], one["seed"]] = one
    order = {
        case: place
        for place, case in enumerate(
            (runtime, precision) for runtime, has in RUNTIME_PRECISIONS.items() for precision in has
        )
    }
    return sorted(
        found.values(), key=lambda one: order.get((one["runtime"], one["precision"]), len(order))
    )


def _head(records: Sequence[Record], unit_ms: float) -> str:
    versions = sorted({f"{one['runtime']} {one['version']}" for one in records})
    loads = [one["load_average"] for one in records]
    last = max(records, key=lambda one: one["at"])
    seeds = [len(found) for found in _grouped(records, "network", "runtime", "precision").values()]
    told_seeds = f"{min(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    told = (benchmarks.runtimes.__doc__ or "").strip()
    return (
        f"{told}\n\n"
        f"Seeds of weights and inputs: {told_seeds}. Figures are medians over them, with the "
        f"least and the largest in brackets. One thread of {last['processor']}, "
        f"{last['cores']} cores; load average {min(loads):g} to "
        f"{max(loads):g}; the reference takes {unit_ms:.3g} ms. torch {last['torch']}; "
        f"{', '.join(versions)}.\n\n"
        "error: the worst of all outputs and seeds, as a share of the output's scale; **bold** "
        "where a measurement would be refused for it."
    )


def _rows(records: Sequence[Record], unit_ms: float, failures: list[str]) -> list[str]:
    rows = [
        "| runtime | precision | latency, ms | export, CPU s | file, MB | error |",
        "|---|---|---|---|---|---|",
    ]
    for (runtime, precision), found in _grouped(records, "runtime", "precision").items():
        if failed := next((one["failed"] for one in found if "failed" in one), None):
            rows.append(f"| {runtime} | {precision} | - | - | - | - |")
            failures.append(f"{runtime}, {precision}: {failed}")
            continue
        error = f"{max(one['relative_error'] for one in found):.1e}"
        cells = [
            runtime,
            precision,
            spread([one["ratio"] * unit_ms for one in found]),
            spread([one["export_cpu_s"] for one in found]),
            f"{statistics.median(one['size_bytes'] for one in found) / 1e6:.3g}",
            error if all(one["agrees"] for one in found) else f"**{error}**",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _sparsity_rows(records: Sequence[Record]) -> list[str]:
    rows = [
        "Times as quick as the same layer without zeros in the same runtime and precision.",
        "",
        f"| runtime | precision | {' | '.join(SPARSE.values())} |",
        f"|---|---|{'---|' * len(SPARSE)}",
    ]
    for (runtime, precision), found in _grouped(records, "runtime", "precision").items():
        ratio = {(one["network"], one["seed"]): one.get("ratio") for one in found}
        cells = []
        for network in SPARSE:
            gains = [
                dense / sparse
                for (name, seed), sparse in ratio.items()
                if name == network and sparse and (dense := ratio.get((DENSE, seed)))
            ]
            cells.append(spread(gains) if gains else "-")
        if set(cells) != {"-"}:
            rows.append(f"| {runtime} | {precision} | {' | '.join(cells)} |")
    return rows


def _grouped(records: Iterable[Record], *names: str) -> dict[tuple[Any, ...], list[Record]]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for one in records:
        groups.setdefault(tuple(one[name] for name in names), []).append(one)
    return groups


def spread(values: Sequence[float]) -> str:
    """The median, with the least and the largest."""
    middle = f"{statistics.median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g}-{max(values):.3g})"
