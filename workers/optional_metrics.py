"""Which of the optional metrics this worker's own host can give; why not the others, the log tells.

Importing this module imports neither numpy nor torch.
"""

import logging
from collections.abc import Callable, Mapping

from workers.errors import MetricNotGiven
from workers.measurement.callgrind import require_callgrind
from workers.measurement.rapl import RaplCounter

_logger = logging.getLogger(__name__)

_PROBES: Mapping[str, Callable[[], object]] = {
    "instruction_count": require_callgrind,
    "energy_mj": RaplCounter,
}
"""Each raises MetricNotGiven where the metric cannot be given."""


def metrics_of_this_host() -> tuple[str, ...]:
    """Their bare names, as `OfferedTarget.metrics` has them."""
    given = []
    for metric, probe in _PROBES.items():
        try:
            probe()
        except MetricNotGiven as error:
            _logger.info("%s is not offered on this host: %s", metric, error)
        else:
            given.append(metric)
    return tuple(given)
