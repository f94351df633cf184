"""The calibrations of devices: every one is kept, and what the newest told of a drift."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from service.domain.calibration import EARLIER, Calibration, Drift
from service.storage.insertion import insert_if_absent
from service.storage.tables import calibrations

_SERIES = ("reference", "runtime", "runtime_version", "threads", "clock")


def add_calibrations(
    connection: Connection, device: str, given: Sequence[Calibration]
) -> list[Calibration]:
    """Keeps those that are not yet there; gives them."""
    return [
        one
        for one in given
        if insert_if_absent(connection, calibrations, {"device": device, **one.model_dump()})
    ]


def newest_history(connection: Connection, device: str, like: Calibration) -> list[Calibration]:
    """The device's calibrations of the series of `like` that `drift_of` looks at, in order."""
    of_series = _of_series(device, like)
    newest = connection.scalar(select(func.max(calibrations.c.calibrated_at)).where(of_series))
    if newest is None:
        return []
    query = (
        select(*(calibrations.c[name] for name in Calibration.model_fields))
        .where(of_series, calibrations.c.calibrated_at >= newest - EARLIER)
        .order_by(calibrations.c.calibrated_at)
    )
    return [Calibration.model_validate(row._asdict()) for row in connection.execute(query)]


def set_drift(
    connection: Connection, device: str, calibration: Calibration, drift: Drift | None
) -> None:
    """What the history up to this calibration tells."""
    connection.execute(
        update(calibrations)
        .where(
            _of_series(device, calibration),
            calibrations.c.calibrated_at == calibration.calibrated_at,
        )
        .values(drift=None if drift is None else drift.model_dump(mode="json"))
    )


def newest_calibrations(
    connection: Connection,
) -> dict[str, list[tuple[Calibration, Drift | None]]]:
    """By device the newest of each series with its drift, the newest first."""
    key = ("device", *_SERIES)
    newest = (
        select(
            *(calibrations.c[name] for name in key),
            func.max(calibrations.c.calibrated_at).label("calibrated_at"),
        )
        .group_by(*(calibrations.c[name] for name in key))
        .subquery()
    )
    same = and_(*(calibrations.c[name] == newest.c[name] for name in (*key, "calibrated_at")))
    query = select(calibrations).join(newest, same).order_by(calibrations.c.calibrated_at.desc())
    found: dict[str, list[tuple[Calibration, Drift | None]]] = {}
    for row in connection.execute(query):
        values = {name: getattr(row, name) for name in Calibration.model_fields}
        drift = None if row.drift is None else Drift.model_validate(row.drift)
        found.setdefault(row.device, []).append((Calibration.model_validate(values), drift))
    return found


def _of_series(device: str, like: Calibration) -> ColumnElement[bool]:
    return and_(
        calibrations.c.device == device,
        *(calibrations.c[name] == getattr(like, name) for name in _SERIES),
    )
