"""Keeps what a measurement tells of its device, and says so when the device has drifted."""

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from service.domain.calibration import Calibration, Drift, drift_of
from service.storage import events
from service.storage.calibrations import add_calibrations, newest_history, set_drift

_LOG = logging.getLogger("archfront.devices")


def keep_calibrations(connection: Connection, device: str, given: Sequence[Calibration]) -> None:
    """Adds the new ones among those given; an alarm that begins or ends is told once."""
    added = add_calibrations(connection, device, given)
    for series in sorted({one.series for one in added}):
        of_series = [one for one in added if one.series == series]
        history = newest_history(connection, device, of_series[0])
        newest = history[-1]
        if newest not in of_series:
            continue  # all came late: those after them have been judged
        before = [one for one in history if one not in of_series]
        drift = drift_of(history)
        set_drift(connection, device, newest, drift)
        _tell(connection, device, newest, drift_of(before), drift)


def _tell(
    connection: Connection,
    device: str,
    newest: Calibration,
    before: Drift | None,
    drift: Drift | None,
) -> None:
    was, is_now = (one is not None and one.is_alarming for one in (before, drift))
    if was == is_now:
        return
    told = str(drift) if is_now else "measures as in the week before again"
    data = {"device": device, "runtime": newest.runtime, "threads": newest.threads, "told": told}
    events.append(connection, "device_drifted" if is_now else "device_settled", data=data)
    _LOG.log(
        logging.WARNING if is_now else logging.INFO,
        "Device %s %s (reference network in %s %s, threads: %d)",
        device,
        told,
        newest.runtime,
        newest.runtime_version,
        newest.threads,
    )
