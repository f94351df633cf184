"""Opens the engine that a worker's settings name; what it needs is imported only then."""

from importlib import import_module

from workers.engines.engine import Engine
from workers.engines.local import LocalEngine
from workers.settings import WorkerSettings


def open_engine(settings: WorkerSettings) -> Engine:
    """The engine, ready to run stages.

    Raises: EngineUnavailable, saying what is missing and what to do.
    """
    match settings.engine:
        case "local":
            return LocalEngine(settings)
        case "ray":
            opened: Engine = import_module("workers.engines.ray").RayEngine(settings)
        case "slurm":
            opened = import_module("workers.engines.slurm").SlurmEngine(settings)
    return opened
