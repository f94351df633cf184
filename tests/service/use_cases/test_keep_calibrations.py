"""What measurements tell of their device is kept, judged, and shown to whoever looks."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.calibration import Calibration
from service.schemas.fleet import DeviceCalibration
from service.storage.database import Database
from service.storage.events import Event, events_after
from service.storage.invariants import check_invariants
from service.use_cases.keep_calibrations import keep_calibrations
from service.use_cases.list_devices import list_devices
from tests.service.domain.test_calibration import calibrations
from tests.service.offered_targets import offered
from tests.service.toy_experiments import (
    completed,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)

EVERY = timedelta(hours=4)
STEADY = calibrations([0.4, 0.401, 0.399] * 8, EVERY)
THEN_SLOWER = calibrations([0.4, 0.401, 0.399] * 8 + [0.416, 0.417, 0.415] * 2, EVERY)[24:]


def keep(database: Database, given: Sequence[Calibration], device: str = "board") -> None:
    with database.write() as connection:
        keep_calibrations(connection, device, given)


def shown(database: Database) -> tuple[DeviceCalibration, ...]:
    with database.read() as connection:
        (device,) = list_devices(connection)
    return device.calibrations


def told(database: Database) -> list[Event]:
    with database.read() as connection:
        return [event for event in events_after(connection, 0) if "device_" in event.kind]


@pytest.fixture
def worker(database: Database) -> str:
    return registered(database, targets=[offered(device="board")])


def test_a_measurement_brings_the_calibrations_of_its_device(
    database: Database, worker: str
) -> None:
    topped_up(database, created(database, worker_spec()), 1, 2)
    completed(database, surely_claimed(database, worker))
    completed(database, surely_claimed(database, worker), calibrations=STEADY[:2])
    completed(database, surely_claimed(database, worker))
    # The second measurement brings the first one's again: what was lost comes anew.
    completed(database, surely_claimed(database, worker), calibrations=STEADY[:3])
    (only,) = shown(database)
    assert only.calibration == STEADY[2]
    assert (only.drift, only.alarm) == (None, None)
    with database.read() as connection:
        assert check_invariants(connection) == []


def test_a_training_tells_of_no_device(database: Database, worker: str) -> None:
    topped_up(database, created(database, worker_spec()), 1)
    completed(database, surely_claimed(database, worker), calibrations=STEADY[:2])
    assert shown(database) == ()


def test_a_steady_device_raises_no_alarm(database: Database, worker: str) -> None:
    for index in range(len(STEADY)):
        keep(database, STEADY[: index + 1])
    (only,) = shown(database)
    assert only.drift is not None
    assert only.drift.earlier == 18
    assert only.alarm is None
    assert told(database) == []


def test_a_device_that_slows_down_raises_one_alarm_until_it_settles(
    database: Database, worker: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep(database, STEADY)
    with caplog.at_level(logging.INFO, logger="archfront.devices"):
        for one in THEN_SLOWER:
            keep(database, [one])
    (only,) = shown(database)
    assert only.alarm is not None
    assert only.alarm.startswith("measures 4.0 % (± ")
    assert only.alarm.endswith("(onnxruntime 1.32.0, threads: 1)")
    (event,) = told(database)
    assert event.kind == "device_drifted"
    assert event.data["device"] == "board"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "Device board measures" in record.message
    last = THEN_SLOWER[-1]
    for index in range(1, 7):
        again = {"latency_ms": 0.4, "calibrated_at": last.calibrated_at + index * EVERY}
        keep(database, [last.model_copy(update=again)])
    assert [event.kind for event in told(database)] == ["device_drifted", "device_settled"]
    assert shown(database)[0].alarm is None


def test_what_comes_late_is_kept_without_another_verdict(database: Database, worker: str) -> None:
    keep(database, STEADY[12:])
    before = shown(database)
    keep(database, STEADY[:12])
    assert shown(database) == before


def test_each_runtime_has_a_history_of_its_own(database: Database, worker: str) -> None:
    slower = [one.model_copy(update={"runtime": "openvino"}) for one in THEN_SLOWER]
    keep(database, [*STEADY, *slower])
    assert [one.calibration.runtime for one in shown(database)] == ["openvino", "onnxruntime"]
    assert all(one.alarm is None for one in shown(database))


def test_devices_do_not_share_a_history(database: Database, worker: str) -> None:
    registered(database, "other", targets=[offered(device="other-board")])
    keep(database, STEADY)
    keep(database, THEN_SLOWER, device="other-board")
    with database.read() as connection:
        views = {view.name: view.calibrations for view in list_devices(connection)}
    assert views["board"][0].calibration == STEADY[-1]
    assert views["other-board"][0].calibration == THEN_SLOWER[-1]


def test_times_are_compared_in_whatever_zone_they_are_told(database: Database, worker: str) -> None:
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    elsewhere = moment.astimezone(tz=None)
    keep(database, [STEADY[0].model_copy(update={"calibrated_at": moment})])
    keep(database, [STEADY[0].model_copy(update={"calibrated_at": elsewhere})])
    (only,) = shown(database)
    assert only.calibration.calibrated_at == moment
