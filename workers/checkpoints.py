"""Brings a training's checkpoints to the server while it runs, and the newest one back."""

import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from service.domain.errors import ArchfrontError
from service.exchange import AnswerNotUnderstood
from workers.errors import ArtifactDamaged
from workers.held_lease import HeldLease
from workers.report import file_sha256
from workers.server import FINAL_REFUSALS, Server
from workers.shutdown import Shutdown
from workers.work_folder import WorkFolder

_logger = logging.getLogger(__name__)

_LOOK_S = 0.5
_RETRY_S = 1.0
_LONGEST_RETRY_S = 30.0


class CheckpointUploads:
    """Uploads the newest checkpoint in the folder while the `with` block lasts, from a thread.

    Asks the training for one more when the worker is told to stop.
    """

    def __init__(
        self, server: Server, lease: HeldLease, folder: WorkFolder, shutdown: Shutdown
    ) -> None:
        self._server = server
        self._lease = lease
        self._folder = folder
        self._shutdown = shutdown
        self._uploading = threading.Lock()
        self._is_refused = False
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._upload_until_ended, name=f"checkpoints-{lease.grant.lease_id}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def flush(self) -> bool:
        """Tries once to upload what is there by now; false if it has to stay behind."""
        with self._uploading:
            if self._is_refused or self._lease.is_lost:
                return False
            found = self._folder.newest_checkpoint()
            if found is None:
                return True
            step, path = found
            grant = self._lease.grant
            try:
                self._server.keep_checkpoint(grant.lease_id, grant.epoch, step, path)
            except FINAL_REFUSALS as error:
                _logger.warning("No checkpoints of %s are kept: %s", grant.experiment_name, error)
                self._is_refused = True
                return False
            except ArchfrontError as error:
                _logger.info("The checkpoint at step %d waits: %s", step, error)
                return False
            for older in self._folder.checkpoints.glob("[0-9]*"):
                if older.stem.isdecimal() and int(older.stem) <= step:
                    older.unlink(missing_ok=True)
            return True

    def _upload_until_ended(self) -> None:
        has_asked = False
        pause_s, retry_s = _LOOK_S, _RETRY_S
        while not self._ended.wait(pause_s):
            if self._shutdown.is_draining and not has_asked:
                self._folder.keep_flag.touch()
                has_asked = True
            try:
                was_uploaded = self.flush()
            except OSError:
                _logger.exception("A checkpoint could not be read")
                was_uploaded = False
            if was_uploaded:
                pause_s, retry_s = _LOOK_S, _RETRY_S
            else:
                pause_s, retry_s = retry_s, min(2 * retry_s, _LONGEST_RETRY_S)


def fetch_checkpoint(
    server: Server, lease: HeldLease, folder: WorkFolder, shutdown: Shutdown
) -> None:
    """Brings what the grant names to go on from; without it, training begins anew and says so."""
    wanted = lease.grant.checkpoint
    if wanted is None:
        return
    while not (lease.is_lost or lease.has_ended or shutdown.is_ending):
        try:
            _download(server, wanted.sha256, folder.earlier)
        except (ArtifactDamaged, AnswerNotUnderstood, *FINAL_REFUSALS) as error:
            folder.earlier.unlink(missing_ok=True)
            with folder.log.open("a") as log:
                log.write(
                    f"The checkpoint after {wanted.step} steps is refused, training starts anew. "
                    f"{error}\n"
                )
            return
        except ArchfrontError as error:
            _logger.info("The checkpoint at step %d is not here yet: %s", wanted.step, error)
            shutdown.wait(_RETRY_S)
        else:
            return


def _download(server: Server, sha256: str, path: Path) -> None:
    server.download_artifact(sha256, path)
    received = file_sha256(path)
    if received != sha256:
        raise ArtifactDamaged(f"It arrived with SHA-256 {received}, not {sha256}.")
