"""The surroundings of an export: no gradients, no chatter, one kind of error."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service.domain.runtimes import RUNTIME_PRECISIONS, Precision, RuntimeName, no_such_precision
from workers.runtimes.errors import ExportFailed, PrecisionMissing, RuntimeMissing
from workers.runtimes.quiet import quiet

_MESSAGE_LENGTH = 600


@contextmanager
def exporting(
    runtime: RuntimeName, precision: Precision, calibration_inputs: Sequence[object]
) -> Iterator[None]:
    """Everything inside belongs to one export into `runtime`.

    Python's cyclic garbage collector rests meanwhile: exporters build millions of small objects
    that live until the end, and searching them again and again took a quarter of the time.
    Raises: ExportFailed in place of whatever the exporter raised, unless the machine is at fault;
        PrecisionMissing and ValueError as `Runtime.export` says.
    """
    if precision not in RUNTIME_PRECISIONS[runtime]:
        raise PrecisionMissing(no_such_precision(runtime, precision))
    if precision == "int8_static" and not calibration_inputs:
        raise ValueError("calibration_inputs is empty; int8_static takes its ranges from real ones")
    import torch  # noqa: PLC0415

    collecting = gc.isenabled()
    gc.disable()
    try:
        with quiet(), torch.no_grad():
            yield
    except (MemoryError, OSError, ImportError, RuntimeMissing):
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:_MESSAGE_LENGTH]
        raise ExportFailed(
            f"the network cannot be exported to {runtime}: {type(error).__name__}: {told}; "
            "change the search space so that it builds only what the runtime has"
        ) from error
    finally:
        if collecting:
            gc.enable()
