"""What goes wrong on the way to a device; all of it the machine's fault, never the arm's."""

from workers.errors import WorkerError


class DeviceUnreachable(WorkerError):
    """The device does not answer, or does not let us in."""


class DeviceTimedOut(WorkerError):
    """A command on the device took longer than it may."""


class DeviceCommandFailed(WorkerError):
    """A command on the device ended with an error."""
