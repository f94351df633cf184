"""The engine `slurm`: each stage is a job, submitted and watched by submitit.

Worker and machines share the folders that they work in, as submitit asks of them anyway; so log,
curve and result need no other way than the work folder.
"""

import logging
import math
import threading
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from service.domain.errors import ArchfrontError
from service.ray_cluster import EngineUnavailable
from workers.engines.demand import NodeHas, demand_of
from workers.engines.engine import Offer
from workers.engines.slurm_job import STARTS_FILE, run_job
from workers.safe_text import safe_text
from workers.settings import WorkerSettings
from workers.stage_order import StageOrder
from workers.stage_result import STAGE_RESULT, StageCompleted, StageFailed, StageInfeasible
from workers.trial_process import STAGE_PROGRAM

_logger = logging.getLogger(__name__)

_GB_IN_GIB = 1024**3 / 1000**3
_CANCEL_LIMIT_S = 30.0
_LOOK_S = 0.2


class JobRefused(ArchfrontError):
    """Slurm did not take the job."""


class SlurmEngine:
    """Slurm, or with `slurm_cluster = local` its stand-in that runs jobs as processes here.

    program: what Python runs for a stage.
    Raises: EngineUnavailable.
    """

    def __init__(self, settings: WorkerSettings, program: Sequence[str] = STAGE_PROGRAM) -> None:
        if find_spec("submitit") is None:
            raise EngineUnavailable(
                "The engine slurm needs submitit, which is not installed.",
                remedy="Run: pip install 'archfront[slurm]'",
            )
        self.settings = settings
        self.program = tuple(program)
        self.submitit: Any = import_module("submitit")
        if settings.slurm_cluster == "slurm" and not self.submitit.SlurmExecutor.affinity() > 0:
            raise EngineUnavailable(
                "There is no Slurm here: srun was not found.",
                remedy="Run this on a machine that submits jobs; ARCHFRONT_WORKER_SLURM_CLUSTER="
                "local tries it out without Slurm.",
            )
        self._lock = threading.Lock()
        self._unplaced = 0

    def offer(self) -> Offer:
        """Nothing by itself: what the partition's machines have, `--resource` and `--label` say."""
        return Offer(resources={}, labels={})

    def place(self, slot: int) -> "SlurmPlace | None":  # noqa: ARG002  (Slurm chooses the machine)
        """Room, unless another job of ours still waits in the queue."""
        with self._lock:
            if self._unplaced:
                return None
            self._unplaced += 1
        return SlurmPlace(self)

    def settled(self) -> None:
        """A job that waited has begun, or is not wanted any more."""
        with self._lock:
            self._unplaced -= 1

    def submit(self, order: StageOrder) -> Any:
        """The stage as a job. Raises: JobRefused."""
        settings = self.settings
        executor = self.submitit.AutoExecutor(
            folder=order.work_folder / "job", cluster=settings.slurm_cluster
        )
        executor.update_parameters(**job_parameters(settings, order))
        try:
            return executor.submit(run_job, order.model_dump_json(), self.program, settings.retries)
        except (OSError, RuntimeError) as error:
            raise JobRefused(f"Slurm did not take the job: {error}") from error

    def close(self) -> None:
        """There is nothing to let go: each run ends its own job."""


def job_parameters(settings: WorkerSettings, order: StageOrder) -> dict[str, object]:
    """What submitit is told of the job: the worker's settings, and what the experiment requires."""
    grant = order.grant
    demand = demand_of(
        grant.requires,
        [NodeHas(resources=settings.resources, labels={})],
        threads=settings.threads,
        gpus_per_stage=settings.gpus_per_stage,
        chosen={},
    ).resources
    parameters: dict[str, object] = {
        "name": f"archfront-{grant.experiment_name}-{grant.trial_number}",
        "timeout_min": settings.slurm_time_limit_min,
        "cpus_per_task": math.ceil(demand["cores"]),
    }
    if "memory_gib" in demand:
        parameters["mem_gb"] = math.ceil(demand["memory_gib"] * _GB_IN_GIB)
    if settings.slurm_gres is not None:
        parameters["slurm_gres"] = settings.slurm_gres
    elif "gpus" in demand:
        parameters["gpus_per_node"] = math.ceil(demand["gpus"])
    if settings.slurm_partition is not None:
        parameters["slurm_partition"] = settings.slurm_partition
    return parameters


class SlurmPlace:
    """The right to have one job wait in the queue."""

    def __init__(self, engine: SlurmEngine) -> None:
        self._engine = engine
        self._is_settled = False

    def run(self, order: StageOrder) -> "SlurmRun":
        """Submits the stage."""
        return SlurmRun(self._engine, self, order)

    def settle(self) -> None:
        """Another stage may be leased."""
        if not self._is_settled:
            self._is_settled = True
            self._engine.settled()

    def close(self) -> None:
        """Gives the room back."""
        self.settle()


class SlurmRun:
    """A stage as a job."""

    def __init__(self, engine: SlurmEngine, place: SlurmPlace, order: StageOrder) -> None:
        self._place = place
        self._folder = order.folder
        self._place_wait_s = engine.settings.place_wait_s
        self._uncompleted: type[Exception] = engine.submitit.core.utils.UncompletedJobError
        self._submitted_s = time.monotonic()
        self._has_begun = False
        self._job = engine.submit(order)

    def wait(self, timeout_s: float) -> StageCompleted | StageInfeasible | StageFailed | None:
        """How the stage ended; None if it still waits or runs after `timeout_s`."""
        end_s = time.monotonic() + timeout_s
        while not self._job.done():
            if not self._has_begun and (self._folder.path / STARTS_FILE).exists():
                self._has_begun = True
                self._place.settle()
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return self._given_back()
            time.sleep(min(_LOOK_S, left_s))
        try:
            return STAGE_RESULT.validate_json(self._job.result())
        except self._uncompleted as error:
            return self._lost(error)

    def _given_back(self) -> StageFailed | None:
        if self._has_begun or time.monotonic() - self._submitted_s <= self._place_wait_s:
            return None
        message = f"The job waited in Slurm's queue for more than {self._place_wait_s:g} s."
        return StageFailed(fault="preempted", message=message)

    def _lost(self, error: Exception) -> StageFailed:
        """The job ended without a result: its machine died, or Slurm or somebody ended it."""
        first, _, rest = str(error).strip().partition("\n")
        message = f"Slurm's job {self._job.job_id} is {self._job.state}: {first}"
        return StageFailed(
            fault="machine",
            message=safe_text(message, 2_000),
            detail=safe_text(rest, 64_000, keep="tail"),
        )

    def stop(self) -> None:
        """Lets the training end before its next point."""
        self._folder.stop_flag.touch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._job.done():
            return
        self._job.cancel(check=False)
        end_s = time.monotonic() + _CANCEL_LIMIT_S
        while not self._job.done(force_check=True):
            if time.monotonic() > end_s:
                _logger.warning("Slurm's job %s does not end.", self._job.job_id)
                return
            time.sleep(_LOOK_S)
