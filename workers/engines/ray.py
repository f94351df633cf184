"""The engine `ray`: each stage is a task on a Ray cluster, placed and retried by Ray.

A lease is the worker's all the while, and only the worker reports: Ray may start a stage twice,
it is recorded once.
"""

import logging
import os
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version
from types import TracebackType
from typing import Self

from service.domain.requirements import Requirements
from service.ray_cluster import join_ray_cluster
from workers.durable_file import write_durably
from workers.engines.demand import Demand, NodeHas, by_our_names, demand_of, nodes_of, offer_of
from workers.engines.engine import Offer
from workers.engines.ray_mailbox import Asked, Mailbox, Told
from workers.engines.ray_stage import RayEnd, RayOrder, run_on_node
from workers.engines.told_files import ToldFiles
from workers.safe_text import safe_text
from workers.settings import WorkerSettings
from workers.stage_order import StageOrder
from workers.stage_result import (
    STAGE_RESULT,
    OutputFile,
    StageCompleted,
    StageFailed,
    StageInfeasible,
)
from workers.trial_process import STAGE_PROGRAM
from workers.work_folder import WorkFolder

_logger = logging.getLogger(__name__)

_ASK_EVERY_S = 0.3
_ANSWER_LIMIT_S = 5.0
_CANCEL_LIMIT_S = 10.0
_CHECKPOINT_LIMIT_S = 20.0


class RayEngine:
    """A Ray cluster that this process has joined.

    program: what Python runs on the machines for a stage.
    Raises: EngineUnavailable.
    """

    def __init__(self, settings: WorkerSettings, program: Sequence[str] = STAGE_PROGRAM) -> None:
        self.settings = settings
        self.program = tuple(program)
        self.ray = join_ray_cluster(settings.address)
        self._lock = threading.Lock()
        self._unplaced = 0
        here = self.ray.get_runtime_context().get_node_id()
        # With the worker and nowhere else: no other machine's death takes the words away.
        near = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        self.mailbox = (
            self.ray.remote(Mailbox)
            .options(num_cpus=0, max_restarts=-1, scheduling_strategy=near)
            .remote()
        )
        self.task = self.ray.remote(run_on_node)

    def nodes(self) -> list[NodeHas]:
        """The living machines of the cluster."""
        return nodes_of(self.ray.nodes())

    def demand(
        self, order: StageOrder | None = None, nodes: Sequence[NodeHas] | None = None
    ) -> Demand:
        """What the stage takes; without one, what a stage takes of which nothing is known."""
        requires = order.grant.requires if order else Requirements()
        return demand_of(
            requires,
            self.nodes() if nodes is None else nodes,
            threads=self.settings.threads,
            gpus_per_stage=self.settings.gpus_per_stage,
            chosen=self.settings.labels,
        )

    def offer(self) -> Offer:
        """Of each resource the most that one machine of the cluster has."""
        return offer_of(self.nodes(), self.settings.labels)

    def place(self, slot: int) -> "RayPlace | None":  # noqa: ARG002  (Ray chooses the machine)
        """Room, if the cluster has it and no other stage of ours still waits for a machine."""
        with self._lock:
            if self._unplaced:
                return None
            try:
                if not self._has_room():
                    return None
            except self.ray.exceptions.RayError as error:
                _logger.warning("The Ray cluster does not tell what it has: %s", error)
                return None
            self._unplaced += 1
        return RayPlace(self)

    def _has_room(self) -> bool:
        nodes = self.nodes()
        demand = self.demand(nodes=nodes)
        available = by_our_names(self.ray.available_resources())
        return demand.fits(available) and any(demand.fits(node.resources) for node in nodes)

    def settled(self) -> None:
        """A stage that waited has its machine, or does not want one any more."""
        with self._lock:
            self._unplaced -= 1

    def close(self) -> None:
        """Leaves the cluster, which ends what this worker still runs there."""
        self.ray.shutdown()


class RayPlace:
    """The right to have one stage wait for a machine."""

    def __init__(self, engine: RayEngine) -> None:
        self._engine = engine
        self._is_settled = False

    def run(self, order: StageOrder) -> "RayRun":
        """Gives the stage to Ray."""
        return RayRun(self._engine, self, order)

    def settle(self) -> None:
        """Another stage may be leased."""
        if not self._is_settled:
            self._is_settled = True
            self._engine.settled()

    def close(self) -> None:
        """Gives the room back."""
        self.settle()


class RayRun:
    """A stage as a Ray task."""

    def __init__(self, engine: RayEngine, place: RayPlace, order: StageOrder) -> None:
        self._engine = engine
        self._ray = engine.ray
        self._place = place
        self._folder = order.folder
        self._files = ToldFiles(order.folder)
        self._key = f"{order.grant.lease_id}-{os.urandom(4).hex()}"
        self._wants_stop = False
        self._checkpoint_step = -1
        self._has_ended = False
        self._heard_at_s = self._asked_at_s = time.monotonic()
        sent = RayOrder(
            key=self._key,
            order=order.model_dump_json(),
            inputs={path.name: path.read_bytes() for path in order.folder.inputs.iterdir()},
            earlier=order.folder.earlier.read_bytes() if order.folder.earlier.exists() else None,
            archfront=version("archfront"),
            program=engine.program,
            log_limit_bytes=engine.settings.log_limit_bytes,
        )
        name = f"{order.grant.experiment_name} #{order.grant.trial_number} {order.grant.stage}"
        self._task = engine.task.options(
            name=name, max_retries=engine.settings.retries, **engine.demand(order).ray_options()
        ).remote(sent, engine.mailbox)

    def wait(self, timeout_s: float) -> StageCompleted | StageInfeasible | StageFailed | None:
        """How the stage ended; meanwhile its log and curve arrive."""
        if self._ray.wait([self._task], timeout=timeout_s)[0]:
            self._has_ended = True
            return self._end()
        now_s = time.monotonic()
        if now_s - self._asked_at_s >= _ASK_EVERY_S:
            self._asked_at_s = now_s
            self._ask()
        settings = self._engine.settings
        if self._files.runs > settings.retries + 1:
            return StageFailed(
                fault="machine", message=f"Ray started the stage {self._files.runs} times."
            )
        if now_s - self._heard_at_s > settings.place_wait_s:
            return StageFailed(
                fault="preempted",
                message=f"No machine of the Ray cluster ran it for {settings.place_wait_s:g} s.",
            )
        return None

    def stop(self) -> None:
        """Lets the training end before its next point."""
        self._wants_stop = True

    def _ask(self) -> None:
        run, log_bytes, curve_bytes = self._files.position
        keeps = self._folder.keep_flag.exists()
        asked = Asked(run, log_bytes, curve_bytes, stop=self._wants_stop, keep=keeps)
        try:
            call = self._engine.mailbox.ask.remote(self._key, asked)
            told = self._ray.get(call, timeout=_ANSWER_LIMIT_S)
        except self._ray.exceptions.RayError as error:
            _logger.info("No word of a stage on Ray: %s", error)
            return
        if told is not None and self._files.add(told):
            self._heard_at_s = time.monotonic()
            self._place.settle()
            self._keep_checkpoint(told)

    def _keep_checkpoint(self, told: Told) -> None:
        """Lays the newest one where the worker looks for it."""
        if told.checkpoint is None or told.checkpoint[0] <= self._checkpoint_step:
            return
        step, (reference,) = told.checkpoint
        try:
            content = self._ray.get(reference, timeout=_CHECKPOINT_LIMIT_S)
        except self._ray.exceptions.RayError as error:
            _logger.info("The checkpoint at step %d has not arrived: %s", step, error)
            return
        write_durably(self._folder.checkpoint_of(step), content)
        self._checkpoint_step = step

    def _end(self) -> StageCompleted | StageInfeasible | StageFailed:
        try:
            end: RayEnd = self._ray.get(self._task)
        except self._ray.exceptions.RayError as error:
            return _given_up(error)
        self._files.add(end.last)
        result = STAGE_RESULT.validate_json(end.result)
        if isinstance(result, StageCompleted):
            outputs = _keep(end, result, self._folder)
            return result.model_copy(update={"files": outputs})
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if not self._has_ended:
                self._ray.cancel(self._task, force=True)
                self._ray.wait([self._task], timeout=_CANCEL_LIMIT_S)
            self._engine.mailbox.forget.remote(self._key)
        except self._ray.exceptions.RayError as failed:
            _logger.warning("Ray did not break a stage off: %s", failed)


def _keep(end: RayEnd, result: StageCompleted, folder: WorkFolder) -> tuple[OutputFile, ...]:
    """The files of the result, by their bytes, in the worker's own folder."""
    kept = []
    for number, output in enumerate(result.files):
        path = folder.outputs / f"{number}-{output.path.name}"
        path.write_bytes(end.files[output.name])
        kept.append(OutputFile(name=output.name, path=path))
    return tuple(kept)


def _given_up(error: Exception) -> StageFailed:
    """Ray has no result and tries no more: the machine's fault, in Ray's words."""
    first, _, rest = str(error).strip().partition("\n")
    cause = getattr(error, "cause", None)
    message = f"Ray gave the stage up: {type(error).__name__}: {cause or first}"
    return StageFailed(
        fault="machine",
        message=safe_text(message, 2_000),
        detail=safe_text(rest, 64_000, keep="tail"),
    )
