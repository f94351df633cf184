"""A table of really trained networks of the `nlu_encoder` space, every arm of a sub-space once.

Five architecture parameters and two of the recipe, 432 arms; everything else as the space's
baseline has it, but for two heads of width 16. `frame_error` comes from one training each on
half the recipe's budget of commands, `latency_ms` from one measurement of each architecture:
the recipe's parameters cannot change it. Recorded by `python -m benchmarks.optimizer record`.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Final

from benchmarks.optimizer.problems.problem import Problem
from search_spaces.arm import Arm
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import ChoiceParameter, IntParameter, ParameterValue
from service.domain.objective import Objective

TABLES_FOLDER = Path(__file__).parent / "nlu_tables"
ERRORS_TABLE: Final = "errors.csv"
LATENCIES_TABLE: Final = "latencies.csv"

_ARCHITECTURE = (
    IntParameter(name="width", low=32, high=96, step=32),
    IntParameter(name="layers", low=1, high=2),
    IntParameter(name="conv_layers", low=0, high=2),
    ChoiceParameter(name="embedding_dim", values=(32, 96)),
    ChoiceParameter(name="ffn_pruning", values=("none", "neurons")),
)
_RECIPE = (
    ChoiceParameter(name="learning_rate", values=(2e-3, 5e-3, 1e-2)),
    ChoiceParameter(name="batch_size", values=(32, 64)),
)

SPACE: Final = ParameterSpace(parameters=_ARCHITECTURE + _RECIPE)
ARCHITECTURE_NAMES: Final = tuple(parameter.name for parameter in _ARCHITECTURE)
"""What decides the latency."""

Row = dict[str, str]


def nlu_table() -> Problem:
    """The committed table as a problem. Raises: FileNotFoundError naming the missing part."""
    errors = _by_signature(read_rows(TABLES_FOLDER / ERRORS_TABLE))
    latencies = {
        _architecture_key(arm_of(row)): row for row in read_rows(TABLES_FOLDER / LATENCIES_TABLE)
    }
    missing = [arm.parameters for arm in every_arm() if arm.signature not in errors]
    unmeasured = [a.parameters for a in every_arm() if _architecture_key(a) not in latencies]
    if missing or unmeasured:
        raise FileNotFoundError(
            f"the table lacks {len(missing)} trainings and the latency of {len(unmeasured)} arms; "
            "run: python -m benchmarks.optimizer record train (then measure)"
        )

    def true_values(arm: Arm) -> dict[str, float]:
        return {
            "frame_error": float(errors[arm.signature]["frame_error"]),
            "latency_ms": float(latencies[_architecture_key(arm)]["latency_ms"]),
        }

    def sems(arm: Arm) -> dict[str, float]:
        return {
            "frame_error": float(errors[arm.signature]["frame_error_sem"]),
            "latency_ms": float(latencies[_architecture_key(arm)]["latency_ms_sem"]),
        }

    return Problem(
        name="nlu_table",
        description="432 really trained networks; 5 architecture and 2 recipe parameters",
        space=SPACE,
        objectives=(
            Objective(metric="frame_error", goal="minimize", threshold=0.60),
            Objective(metric="latency_ms", goal="minimize", threshold=0.10),
        ),
        true_values=true_values,
        known_sems=sems,
    )


@cache
def every_arm() -> tuple[Arm, ...]:
    """Every arm of the sub-space, in the order of its parameters."""
    levels: list[Sequence[ParameterValue]] = [
        parameter.values
        if isinstance(parameter, ChoiceParameter)
        else range(parameter.low, parameter.high + 1, parameter.step)
        for parameter in _ARCHITECTURE + _RECIPE
    ]
    names = [parameter.name for parameter in SPACE.parameters]
    return tuple(
        SPACE.canonical(dict(zip(names, values, strict=True))) for values in product(*levels)
    )


def every_architecture() -> Iterator[Arm]:
    """The first arm of every architecture, all recipes of which are equally quick."""
    seen = set()
    for arm in every_arm():
        key = _architecture_key(arm)
        if key not in seen:
            seen.add(key)
            yield arm


def arm_of(row: Mapping[str, str]) -> Arm:
    """The arm of a row of a table: its named columns, read as their parameters' kinds.

    A row without the recipe's columns gets their first values.
    """
    found = {}
    for parameter in SPACE.parameters:
        allowed: Sequence[ParameterValue] = (
            parameter.values
            if isinstance(parameter, ChoiceParameter)
            else range(parameter.low, parameter.high + 1)
            if isinstance(parameter, IntParameter)
            else ()
        )
        text = row.get(parameter.name)
        found[parameter.name] = (
            allowed[0] if text is None else next(v for v in allowed if str(v) == text)
        )
    return SPACE.canonical(found)


def read_rows(path: Path) -> list[Row]:
    """The rows of a table; none where there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes the table as a whole, so that being killed never leaves half a row."""
    kept = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(kept[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text.getvalue())
    unfinished.replace(path)


def _architecture_key(arm: Arm) -> tuple[ParameterValue, ...]:
    return tuple(arm.parameters[name] for name in ARCHITECTURE_NAMES)


def _by_signature(rows: Iterable[Row]) -> dict[str, Row]:
    return {arm_of(row).signature: row for row in rows}
