"""The three figures: scatter from run to run, equal networks told apart, order of networks.

`scatter`: one network of some 5 ms in fresh processes, while a second process loads the cores; the
coefficient of variation of the median pair ratio beside that of the plain mean over 100 runs, taken
in the same processes. Its weights' 28 MB do not fit into a core's own caches; `scatter_small` is
the same of one as slow whose 1.6 MB do, for it has twelve times as many tokens.
`equal`: two files of that network, measured in turn in fresh processes; of how many pairs of
figures the 95 % interval of the difference covers 0: by Student's t, from both figures' own errors.
`equal_small` is the same of one of 1.6 MB.
`order`: twelve encoders of the search space `nlu_encoder` by latency, in two independent passes,
each in an order of its own; Kendall's tau between them.
"""

import itertools
import random
import shutil
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from scipy.stats import kendalltau

from benchmarks.measurement import networks
from benchmarks.measurement.fresh_process import Order, measure_freshly
from benchmarks.measurement.load import loaded_cores
from workers.measurement.statistics import half_width_95

Run: TypeAlias = dict[str, Any]
Progress: TypeAlias = Callable[[Run], None]

SCATTER_PROCESSES = 20
EQUAL_PAIRS = 20
PACES = "paces.json"


def scatter(folder: Path, progress: Progress, count: int, time_limit_s: float, seed: int) -> Run:
    """CVs in percent; bars: at most 1.5 %, and at most a fifth of the plain one."""
    return _scatter("encoder", folder, progress, count, time_limit_s=time_limit_s, seed=seed)


def scatter_small(
    folder: Path, progress: Progress, count: int, time_limit_s: float, seed: int
) -> Run:
    """The same of a network as slow whose weights fit into a core's own caches."""
    return _scatter(
        "encoder-small-long", folder, progress, count, time_limit_s=time_limit_s, seed=seed
    )


def _scatter(
    name: str, folder: Path, progress: Progress, count: int, *, time_limit_s: float, seed: int
) -> Run:
    encoder = networks.export_encoder(folder, name)
    reference = networks.export_reference(encoder, folder)
    runs, paces = [], str(folder / PACES)
    with loaded_cores():
        for index in range(count):
            order = Order(str(encoder), str(reference), paces, seed + index, time_limit_s)
            runs.append(measure_freshly(order))
            progress(runs[-1])
    ratios = _cv_percent([run["ratio"] for run in runs])
    plain = _cv_percent([run["plain_mean_ms"] for run in runs])
    return {
        "cv_percent": ratios,
        "plain_cv_percent": plain,
        "plain_cpu_cv_percent": _cv_percent([run["plain_cpu_mean_ms"] for run in runs]),
        "told_sem_percent": statistics.fmean(100 * r["ratio_sem"] / r["ratio"] for r in runs),
        "mean_plain_ms": statistics.fmean(run["plain_mean_ms"] for run in runs),
        "met": ratios <= 1.5 and ratios <= plain / 5,
        "runs": runs,
    }


def equal(folder: Path, progress: Progress, count: int, time_limit_s: float, seed: int) -> Run:
    """How often the interval of the difference covers 0; bar: 18 of 20."""
    return _equal("encoder", folder, progress, count, time_limit_s=time_limit_s, seed=seed)


def equal_small(
    folder: Path, progress: Progress, count: int, time_limit_s: float, seed: int
) -> Run:
    """The same of a network that fits into a core's own caches."""
    return _equal("encoder-small", folder, progress, count, time_limit_s=time_limit_s, seed=seed)


def _equal(
    name: str, folder: Path, progress: Progress, count: int, *, time_limit_s: float, seed: int
) -> Run:
    one = networks.export_encoder(folder, name)
    reference = networks.export_reference(one, folder)
    other = folder / f"{name}-again"
    shutil.copytree(one, other, dirs_exist_ok=True)
    runs, paces = [], str(folder / PACES)
    covered = 0
    for index in range(count):
        pair = [
            measure_freshly(
                Order(str(path), str(reference), paces, seed + 2 * index + turn, time_limit_s)
            )
            for turn, path in enumerate((one, other))
        ]
        difference = pair[0]["ratio"] - pair[1]["ratio"]
        error = (pair[0]["ratio_sem"] ** 2 + pair[1]["ratio_sem"] ** 2) ** 0.5
        covers = abs(difference) <= half_width_95(error, sum(run["rounds"] - 1 for run in pair))
        covered += covers
        runs.append({"one": pair[0], "other": pair[1], "covers": bool(covers)})
        progress({"difference": difference, "error": error, "covers": bool(covers)})
    differences = [100 * (r["one"]["ratio"] / r["other"]["ratio"] - 1) for r in runs]
    return {
        "covered": covered,
        "of": count,
        "largest_difference_percent": max(map(abs, differences)),
        "met": covered >= 0.9 * count,
        "runs": runs,
    }


def order(folder: Path, progress: Progress, count: int, time_limit_s: float, seed: int) -> Run:
    """Kendall's tau of two passes over the same networks; bar: 0.95. count: of networks."""
    arms = networks.nlu_arms(seed)[:count]
    paths = networks.export_nlu(arms, folder / f"seed-{seed}")
    references = [networks.export_reference(path, folder) for path in paths]
    passes: list[list[Run]] = []
    paces = str(folder / PACES)
    for turn in range(2):
        found: dict[int, Run] = {}
        places = list(range(count))
        random.Random(seed + turn).shuffle(places)
        for place in places:
            asked = Order(
                str(paths[place]),
                str(references[place]),
                paces,
                seed + 100 * turn + place,
                time_limit_s,
            )
            found[place] = measure_freshly(asked)
            progress({"turn": turn, "place": place, **found[place]})
        passes.append([found[place] for place in range(count)])
    first, second = ([run["ratio"] for run in runs] for runs in passes)
    tau = float(kendalltau(first, second).statistic)
    return {
        "kendall_tau": tau,
        "smallest_gap_percent": _smallest_gap_percent(first),
        "met": tau >= 0.95,
        "arms": [dict(arm.parameters) for arm in arms],
        "passes": passes,
    }


def _smallest_gap_percent(ratios: Sequence[float]) -> float:
    ranked = sorted(ratios)
    return min(100 * (b / a - 1) for a, b in itertools.pairwise(ranked))


def _cv_percent(values: Sequence[float]) -> float:
    return 100 * statistics.stdev(values) / statistics.fmean(values)
