"""The whole fleet at one moment: who is there, what is measured where, what waits and why."""

from datetime import datetime

from sqlalchemy import Connection

from service.schemas.fleet import FleetView, WaitingView
from service.storage.clock import database_now
from service.storage.experiments import find_experiment
from service.storage.target_profiles import bound_targets
from service.storage.waiting_stages import WaitingStages, waiting_stages
from service.use_cases.list_devices import list_devices
from service.use_cases.list_workers import list_workers
from service.use_cases.unmet_stages import online_workers, unmet_stages


def read_fleet(connection: Connection) -> FleetView:
    """Workers and devices by name; what waits, with the reason where nobody can take it."""
    now = database_now(connection)
    return FleetView(
        at=now,
        workers=tuple(list_workers(connection)),
        devices=tuple(list_devices(connection)),
        waiting=tuple(_waiting(connection, now)),
    )


def _waiting(connection: Connection, now: datetime) -> list[WaitingView]:
    workers = online_workers(connection)
    found: list[WaitingView] = []
    unmet: dict[str, str] = {}
    last_id = None
    for stages in waiting_stages(connection):
        if stages.experiment_id != last_id:
            last_id = stages.experiment_id
            experiment = find_experiment(connection, last_id)
            unmet = unmet_stages(experiment, workers, bound_targets(connection, last_id))
        why = unmet.get(stages.stage)
        found.append(
            WaitingView(
                experiment=experiment.spec.name,
                stage=stages.stage,
                begun=stages.begun,
                candidates=stages.candidates,
                oldest_wait_s=_seconds(stages, now, of_all=why is not None),
                unmet=why,
            )
        )
    return found


def _seconds(stages: WaitingStages, now: datetime, *, of_all: bool) -> float | None:
    since = stages.since if of_all else stages.begun_since
    return None if since is None else max(0.0, round((now - since).total_seconds(), 1))
