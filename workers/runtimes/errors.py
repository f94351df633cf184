"""What stands between a network and its runtime, by whose fault it is."""

from search_spaces.recipe import ArmInfeasible
from workers.errors import GrantRefused


class UnknownRuntime(GrantRefused):
    """No runtime of this name is known to the archfront installed here."""


class RuntimeMissing(GrantRefused):
    """The runtime is not installed on this worker."""


class PrecisionMissing(GrantRefused):
    """The runtime, or this worker's processor, cannot compute in the precision asked for."""


class ExportFailed(ArmInfeasible):
    """The network cannot be expressed in the runtime."""


class LoadFailed(ArmInfeasible):
    """The runtime refuses to load the exported network."""
