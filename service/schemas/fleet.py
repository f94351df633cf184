"""The fleet on the wire: devices, and what waits for whom."""

from datetime import datetime

from search_spaces.values import Value
from service.domain.calibration import Calibration, Drift
from service.domain.device import DeviceProfile
from service.schemas.workers import WorkerView


class DeviceUse(Value):
    """The measurement that a device is busy with."""

    experiment: str
    trial_number: int
    stage: str
    worker: str | None
    since: datetime


class DeviceCalibration(Value):
    """The newest calibration of a device in one runtime, and what the history tells.

    drift: None while there are too few calibrations. alarm: that it has drifted, in words.
    """

    calibration: Calibration
    drift: Drift | None = None
    alarm: str | None = None


class DeviceView(Value):
    """A device that workers can measure on.

    targets: the names that experiments may ask for it by.
    runtimes: the versions of those that can be measured there, by name.
    metrics: the optional ones that it can give.
    workers: those that reach it, whether or not they are online.
    in_use: None while nothing is being measured there.
    calibrations: by runtime, version and threads, the newest first.
    """

    name: str
    targets: tuple[str, ...]
    profile: DeviceProfile
    runtimes: dict[str, str]
    metrics: tuple[str, ...]
    workers: tuple[str, ...]
    in_use: DeviceUse | None = None
    calibrations: tuple[DeviceCalibration, ...] = ()


class WaitingView(Value):
    """Stages of one experiment that could be leased now.

    begun: of trials that have begun. candidates: of those that have not.
    oldest_wait_s: the longest that one of those begun has waited; of the candidates, which a pool
        keeps ready, only where no worker can take them.
    unmet: why no worker online can take them; None: one can, once it is free.
    """

    experiment: str
    stage: str
    begun: int
    candidates: int
    oldest_wait_s: float | None
    unmet: str | None


class FleetView(Value):
    """The whole fleet at one moment."""

    at: datetime
    workers: tuple[WorkerView, ...]
    devices: tuple[DeviceView, ...]
    waiting: tuple[WaitingView, ...]
