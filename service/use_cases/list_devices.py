"""The devices that the fleet can measure on."""

from sqlalchemy import Connection

from service.domain.calibration import Calibration, Drift
from service.domain.device import OfferedTarget
from service.schemas.fleet import DeviceCalibration, DeviceUse, DeviceView
from service.storage.attempts import open_measurements
from service.storage.calibrations import newest_calibrations
from service.storage.workers import current_workers


def list_devices(connection: Connection) -> list[DeviceView]:
    """Every device that a worker has offered in its newest session, by name.

    Where several workers reach it, profile, runtimes and metrics are as the last of them told.
    """
    offers: dict[str, list[tuple[str, OfferedTarget]]] = {}
    for worker in sorted(current_workers(connection), key=lambda worker: worker.registered_at):
        for target in worker.targets:
            offers.setdefault(target.device, []).append((worker.name, target))
    uses = {
        row.measure_device: DeviceUse(
            experiment=row.experiment,
            trial_number=row.trial_number,
            stage=row.stage,
            worker=row.worker,
            since=row.since,
        )
        for row in open_measurements(connection)
    }
    calibrated = newest_calibrations(connection)
    return [
        DeviceView(
            name=device,
            targets=tuple(sorted({target.name for _, target in found})),
            profile=found[-1][1].profile,
            runtimes=found[-1][1].runtimes,
            metrics=found[-1][1].metrics,
            workers=tuple(sorted({worker for worker, _ in found})),
            in_use=uses.get(device),
            calibrations=tuple(_as_view(*one) for one in calibrated.get(device, ())),
        )
        for device, found in sorted(offers.items())
    ]


def _as_view(calibration: Calibration, drift: Drift | None) -> DeviceCalibration:
    alarm = None
    if drift is not None and drift.is_alarming:
        alarm = (
            f"{drift} ({calibration.runtime} {calibration.runtime_version}, "
            f"threads: {calibration.threads})"
        )
    return DeviceCalibration(calibration=calibration, drift=drift, alarm=alarm)
