"""Holds a worker's own token to that worker's session or lease, whichever the address names."""

from fastapi import Depends, Request
from fastapi.params import Depends as DependsParameter
from starlette.concurrency import run_in_threadpool

from service.api.guard import principal_of
from service.api.reading import DatabaseOf
from service.use_cases.own_worker import require_own_lease, require_own_session


async def _only_own(request: Request, database: DatabaseOf) -> None:
    own = principal_of(request).worker
    if own is None:
        return
    lease_id, worker_id = (request.path_params.get(name) for name in ("lease_id", "worker_id"))

    def check() -> None:
        with database.read() as connection:
            if lease_id is not None:
                require_own_lease(connection, own, lease_id)
            if worker_id is not None:
                require_own_session(connection, own, worker_id)

    await run_in_threadpool(check)


ONLY_OWN: DependsParameter = Depends(_only_own)
"""A route's dependency: a worker's own token may not speak for another worker, else 403."""
