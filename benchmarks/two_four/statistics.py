"""Medians and spreads of paired runs, and the tables they make."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.two_four.accuracy import METHODS, NETWORKS

BAR_POINTS = 0.5

_TOLD = {
    "two_of_four": "2:4, magnitude",
    "permuted": "2:4, channels permuted",
    "random": "2:4, random mask",
    "unstructured": "50 % single weights",
    "trained_twice": "none: dense trained twice",
}

Record = Mapping[str, Any]


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """The median, with the least and the largest in brackets."""
    middle = form.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def _of(records: Sequence[Record], network: str, method: str) -> list[Record]:
    return [one for one in records if (one["network"], one["method"]) == (network, method)]


def losses(records: Sequence[Record], network: str, method: str, against: str) -> list[float]:
    """Points of test error that retraining ends above the dense network of the same seed.

    against: `dense`, where the retraining began; `twice`, the dense network trained as long.
    """
    chosen = _of(records, network, method)
    if against == "dense":
        return [100 * (one["error"] - one["dense_error"]) for one in chosen]
    twice = {one["seed"]: one["error"] for one in _of(records, network, "trained_twice")}
    return [100 * (one["error"] - twice[one["seed"]]) for one in chosen if one["seed"] in twice]


def verdict(records: Sequence[Record]) -> str:
    """Whether 2:4 after retraining is within the bar of dense, by the median over networks."""
    told = []
    for against, name in (("dense", "dense"), ("twice", "dense trained twice")):
        medians = [
            statistics.median(found)
            for network in NETWORKS
            if (found := losses(records, network, "two_of_four", against))
        ]
        if medians:
            middle = statistics.median(medians)
            held = "within" if middle <= BAR_POINTS else "beyond"
            told.append(
                f"**2:4 after retraining against {name}: {middle:+.2f} points of error**, the "
                f"median over {len(medians)} networks of their medians over seeds "
                f"({min(medians):+.2f} to {max(medians):+.2f}), {held} the bar of {BAR_POINTS:g}."
            )
    return "\n\n".join(told)


def accuracy_table(records: Sequence[Record]) -> str:
    """A row for each network and mask."""
    if not records:
        return "Nothing is measured yet."
    head = (
        "network",
        "mask",
        "dense, % wrong",
        "masked, % wrong",
        "retrained, % wrong",
        "retrained - dense, points",
        "- dense trained twice, points",
        "magnitude kept",
        "bytes",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for network in NETWORKS:
        for method in METHODS:
            chosen = [
                one for one in records if (one["network"], one["method"]) == (network, method)
            ]
            if chosen:
                lines.append(f"| {network} | {_TOLD[method]} | {_cells(records, chosen)} |")
    seeds = sorted({one["seed"] for one in records})
    tests = {one["network"]: one["test_examples"] for one in records}
    loads = [one["load_average"] for one in records]
    last = records[-1]
    told = (
        f"Seeds: {len(seeds)}; medians, with the least and the largest in brackets; differences "
        "are of the same seed. Test examples: "
        f"{', '.join(f'{network} {count}' for network, count in tests.items())}. bytes: packed at "
        "16 bits, as a share of dense, embeddings and all other dense layers included. One thread "
        f"of {last['processor']}, torch {last['torch']}, source {last['source']}, load average "
        f"{min(loads):g} to {max(loads):g}; {spread([one['cpu_s'] for one in records], '{:.1f}')} "
        "CPU seconds for a retraining, with the dense training before the first of a seed."
    )
    return "\n".join([verdict(records), "", *lines, "", told])


def _cells(records: Sequence[Record], chosen: Sequence[Record]) -> str:
    network, method = chosen[0]["network"], chosen[0]["method"]

    def percent(name: str) -> str:
        return spread([100 * one[name] for one in chosen])

    twice = losses(records, network, method, "twice")
    is_dense = method == "trained_twice"
    return " | ".join(
        [
            percent("dense_error"),
            "" if is_dense else percent("zero_shot_error"),
            percent("error"),
            spread(losses(records, network, method, "dense"), "{:+.2f}"),
            "" if is_dense or not twice else spread(twice, "{:+.2f}"),
            "" if is_dense else f"{statistics.median(o['kept_magnitude'] for o in chosen):.3f}",
            f"{chosen[0]['packed_bytes'] / (2 * chosen[0]['weights']):.2f}",
        ]
    )


def timing_table(
    records: Sequence[Record], columns: Sequence[str], head: Callable[[Sequence[Record]], str]
) -> str:
    """A row for each case: how many times as quick as dense, or why it could not be measured.

    columns: the fields that name a case.
    """
    if not records:
        return "Nothing is measured yet."
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for one in records:
        groups.setdefault(tuple(one[name] for name in columns), []).append(one)
    lines = [
        f"| {' | '.join(columns)} | dense, us | 2:4, us | times as quick | answers differ by |",
        f"|{'---|' * (len(columns) + 4)}",
    ]
    for key, found in groups.items():
        failed = next((one["failed"] for one in found if "failed" in one), None)
        cells = (
            ["-", "-", failed, "-"]
            if failed
            else [
                f"{statistics.median(one['dense_us'] for one in found):.0f}",
                f"{statistics.median(one['sparse_us'] for one in found):.0f}",
                spread([one["ratio"] for one in found]),
                f"{max(one['relative_error'] for one in found):.1e}",
            ]
        )
        lines.append(f"| {' | '.join(map(str, (*key, *cells)))} |")
    return "\n".join([*lines, "", head(records)])
