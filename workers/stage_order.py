"""What the worker asks of a stage process."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from search_spaces.space import SearchSpace
from search_spaces.values import ShortText, Value
from service.domain.device import MeasurementSettings
from service.schemas.leases import LeaseGrant
from workers.devices.devices_file import DeviceEntry
from workers.stage_limits import StageLimits
from workers.work_folder import WorkFolder


class StageOrder(Value):
    """One stage to work off.

    work_folder: this attempt's own (see `WorkFolder`).
    cache_folder: shared by all attempts on this host.
    threads: for the computation of this stage.
    cores: the processor cores it is bound to (None: the scheduler decides).
    limits: the worker's, beyond which whoever runs it ends it.
    device_name: what the worker calls the device that is measured on.
    device: the way to it; None for the worker's own host.
    """

    grant: LeaseGrant
    work_folder: Path
    cache_folder: Path
    threads: Annotated[int, Field(ge=1)] = 1
    cores: tuple[int, ...] | None = None
    limits: StageLimits = StageLimits()
    device_name: ShortText = "this-host"
    device: DeviceEntry | None = None

    @property
    def folder(self) -> WorkFolder:
        """The paths inside the work folder."""
        return WorkFolder(self.work_folder)

    def measurement(self, space: SearchSpace) -> MeasurementSettings:
        """As the grant has it, in the precision of the arm's own where its space gives it one."""
        settings = self.grant.measurement
        if space.precision_parameter is None:
            return settings
        precision = self.grant.arm.parameters[space.precision_parameter]
        return settings.model_copy(update={"precision": precision})
