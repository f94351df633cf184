"""Chooses a runtime for each target of an experiment that names none."""

from collections.abc import Iterable

from sqlalchemy import Connection

from service.domain.default_runtime import default_runtime
from service.domain.device import OfferedTarget
from service.domain.errors import InvalidRequest
from service.domain.experiment import ExperimentSpec
from service.domain.runtimes import (
    COUNTED_RUNTIMES,
    RUNTIME_PRECISIONS,
    Precision,
    no_such_precision,
)
from service.storage.clock import database_now
from service.storage.workers import current_workers


def resolve_runtimes(
    connection: Connection, spec: ExperimentSpec, precisions: tuple[Precision, ...] = ()
) -> ExperimentSpec:
    """The spec with the runtime of every target written out; resolving it again changes nothing.

    Chosen from what all workers that are not gone offer on the target, so that each of them can
    measure there; where they have none in common, from what any offers. Workers that cannot give
    an optional metric that is asked for are passed over, where others can.
    precisions: those that the arms themselves are exported in; none: the spec decides.
    Raises: InvalidRequest if a target is to be measured in a precision that its runtime has not,
        or its instructions counted in a runtime in which they cannot be.
    """
    if spec.search_space is None:
        return spec  # its trials are measured elsewhere
    now = database_now(connection)
    offers = [
        target
        for worker in current_workers(connection)
        if worker.status_at(now) in {"online", "draining"} and "measure" in worker.stages
        for target in worker.targets
    ]
    common, targets = spec.measurement, []
    for place, target in enumerate(spec.targets):
        settings = target.settings(spec.measurement)
        runtime = settings.runtime
        asked = set(spec.asked_on(target.name))
        counts = "instruction_count" in asked
        if runtime is None:
            there = [one for one in offers if one.name == target.name]
            offered = _offered([one for one in there if asked <= set(one.metrics)] or there)
            able = offered & COUNTED_RUNTIMES if counts else offered
            runtime = default_runtime(able, precisions or (settings.precision,))
        for precision in precisions or (settings.precision,):
            if precision in RUNTIME_PRECISIONS[runtime]:
                continue
            raise InvalidRequest(
                f"{target.name!r}: {no_such_precision(runtime, precision)}.",
                field=f"targets.{place}.{'runtime' if precisions else 'precision'}",
                remedy="Narrow the parameter by which arms choose it to what this runtime has, or "
                "give this target another runtime."
                if precisions
                else "Give this target a runtime and a precision of its own.",
            )
        if counts and runtime not in COUNTED_RUNTIMES:
            raise InvalidRequest(
                f"{target.name!r}: instructions cannot be counted in the runtime {runtime!r}.",
                field=f"targets.{place}.runtime",
                remedy=f"Give it one of {', '.join(sorted(COUNTED_RUNTIMES))}, or leave "
                "instruction_count out.",
            )
        if settings.runtime is None:
            if common.runtime is None:
                common = common.model_copy(update={"runtime": runtime})
            own = None if runtime == common.runtime else runtime
            target = target.model_copy(update={"runtime": own})  # noqa: PLW2901
        targets.append(target)
    return spec.model_copy(update={"measurement": common, "targets": tuple(targets)})


def _offered(targets: Iterable[OfferedTarget]) -> set[str]:
    offered = [set(target.runtimes) for target in targets]
    return set.intersection(*offered) or set.union(*offered) if offered else set()
