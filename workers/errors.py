"""The worker's errors, each named after the state of the world that it reports."""

from service.domain.errors import ArchfrontError


class WorkerError(ArchfrontError):
    """Something stands in the worker's way."""


class WorkerSettingsInvalid(WorkerError):
    """A setting of the worker is not valid."""


class WorkerNameTaken(WorkerError):
    """Another worker on this machine already runs under this name."""


class GrantRefused(WorkerError):
    """The server granted something that this worker cannot take on."""


class MetricNotGiven(GrantRefused):
    """The device cannot give an optional metric that is asked for."""


class ArtifactDamaged(WorkerError):
    """The bytes received do not have the SHA-256 that was announced."""


class WallClockLimitReached(WorkerError):
    """Training took longer than the experiment allows."""


class MetricsDisagree(WorkerError):
    """The recipe gave other metrics than its search space declares."""


class CheckpointUnusable(WorkerError):
    """Training cannot go on from this checkpoint."""
