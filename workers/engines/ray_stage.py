"""What runs on a Ray cluster's machine: one stage, as a process there, in a folder of its own."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workers.engines.local import ProcessRun
from workers.engines.node_folder import node_folder
from workers.engines.ray_mailbox import Asked, Told
from workers.errors import GrantRefused
from workers.stage_order import StageOrder
from workers.stage_result import STAGE_RESULT, StageCompleted
from workers.work_folder import WorkFolder

_TELL_EVERY_S = 0.4
_ANSWER_LIMIT_S = 5.0
_PIECE_BYTES = 512 * 1024


@dataclass(frozen=True)
class RayOrder:
    """A stage to work off on another machine: its order, and the files it needs.

    earlier: the checkpoint to go on from. archfront: the worker's version.
    program: what Python runs there.
    log_limit_bytes: more of the log is not passed on.
    """

    key: str
    order: str
    inputs: Mapping[str, bytes]
    earlier: bytes | None
    archfront: str
    program: Sequence[str]
    log_limit_bytes: int


@dataclass(frozen=True)
class RayEnd:
    """How it ended: the result as JSON, the files that it names, and the rest of log and curve."""

    result: bytes
    files: Mapping[str, bytes]
    last: Told


def run_on_node(order: RayOrder, mailbox: Any) -> RayEnd:
    """Runs the stage here and tells of it meanwhile; the body of the Ray task.

    Raises: GrantRefused where another release of archfront is installed.
    """
    if version("archfront") != order.archfront:
        raise GrantRefused(
            f"This machine has archfront {version('archfront')}, the worker {order.archfront}; "
            "install the same on all nodes of the cluster"
        )
    ray: Any = import_module("ray")
    with node_folder() as path:
        stage = StageOrder.model_validate_json(order.order)
        stage = stage.model_copy(update={"work_folder": path})
        folder = stage.folder
        folder.create()
        for name, content in order.inputs.items():
            (folder.inputs / name).write_bytes(content)
        if order.earlier is not None:
            folder.earlier.write_bytes(order.earlier)
        stage.cache_folder.mkdir(parents=True, exist_ok=True)
        teller = _Teller(ray, mailbox, order, folder)
        # First of all, so that a start is counted whose machine dies at once.
        teller.tell()
        with ProcessRun(stage, program=order.program) as run:
            was_asked_to_keep = False
            while (result := run.wait(_TELL_EVERY_S)) is None:
                asked = teller.tell()
                if asked.stop:
                    run.stop()
                if asked.keep and not was_asked_to_keep:
                    folder.keep_flag.touch()
                    was_asked_to_keep = True
        files = {}
        if isinstance(result, StageCompleted):
            files = {output.name: output.path.read_bytes() for output in result.files}
        return RayEnd(STAGE_RESULT.dump_json(result), files, teller.rest())


class _Teller:
    """The stage's side of the mailbox."""

    def __init__(self, ray: Any, mailbox: Any, order: RayOrder, folder: WorkFolder) -> None:
        self._ray = ray
        self._mailbox = mailbox
        self._order = order
        self._folder = folder
        node = ray.util.get_node_ip_address()
        self._told = Told(run=uuid.uuid4().hex, node=node)
        self._asked = Asked()

    def tell(self) -> Asked:
        """Tells what is new, and gives the worker's last word; a silent mailbox delays it."""
        self._told = replace(
            self._told, number=self._told.number + 1, checkpoint=self._checkpoint()
        )
        try:
            call = self._mailbox.tell.remote(self._order.key, self._new(_PIECE_BYTES))
            # Not `ray.get`: a task that waits in it gives its cores away meanwhile.
            asked = call.future().result(timeout=_ANSWER_LIMIT_S)
        except (self._ray.exceptions.RayError, TimeoutError):
            time.sleep(_TELL_EVERY_S)
        else:
            self._asked = (
                asked if asked.run == self._told.run else Asked(stop=asked.stop, keep=asked.keep)
            )
        return self._asked

    def _checkpoint(self) -> tuple[int, Sequence[Any]] | None:
        """The newest one; the cluster holds its bytes until the next."""
        found, known = self._folder.newest_checkpoint(), self._told.checkpoint
        if found is None or (known is not None and found[0] <= known[0]):
            return known
        step, path = found
        told = (step, [self._ray.put(path.read_bytes())])
        for older in self._folder.checkpoints.glob("[0-9]*"):
            if older.stem.isdecimal() and int(older.stem) <= step:
                older.unlink(missing_ok=True)
        return told

    def rest(self) -> Told:
        """All that the worker does not have yet."""
        return replace(self._new(None), checkpoint=None)

    def _new(self, most_bytes: int | None) -> Told:
        asked = self._asked
        left_bytes = max(0, self._order.log_limit_bytes - asked.log_bytes)
        log_bytes = left_bytes if most_bytes is None else min(left_bytes, most_bytes)
        return replace(
            self._told,
            log_from=asked.log_bytes,
            log=_read(self._folder.log, asked.log_bytes, log_bytes),
            curve_from=asked.curve_bytes,
            curve=_read(self._folder.curve, asked.curve_bytes, most_bytes),
        )


def _read(path: Path, from_byte: int, most_bytes: int | None) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(from_byte)
        return file.read(-1 if most_bytes is None else most_bytes)
