"""The surroundings of an export: no gradients, no chatter, one kind of error."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from workers.runtimes.errors import ExportFailed
from workers.runtimes.quiet import quiet

_MESSAGE_LENGTH = 600


@contextmanager
def exporting(runtime: str) -> Iterator[None]:
    """Everything inside belongs to one export into `runtime`.

    Python's cyclic garbage collector rests meanwhile: exporters build millions of small objects
    that live until the end, and searching them again and again took a quarter of the time.
    Raises: ExportFailed in place of whatever the exporter raised, unless the machine is at fault.
    """
    import torch  # noqa: PLC0415

    collecting = gc.isenabled()
    gc.disable()
    try:
        with quiet(), torch.no_grad():
            yield
    except (MemoryError, OSError, ImportError):
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
