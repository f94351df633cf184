"""Fetches what earlier stages left for this one."""

import logging

from service.domain.errors import ArchfrontError
from service.schemas.leases import InputArtifact
from workers.errors import ArtifactDamaged, GrantRefused
from workers.held_lease import HeldLease
from workers.report import file_sha256
from workers.server import FINAL_REFUSALS, Server
from workers.shutdown import Shutdown
from workers.work_folder import WorkFolder

_logger = logging.getLogger(__name__)

_RETRY_S = 1.0


def fetch_inputs(server: Server, lease: HeldLease, folder: WorkFolder, shutdown: Shutdown) -> bool:
    """Whether all inputs lie in the folder; not, if the lease or the worker ended before.

    Raises: GrantRefused for a name that leads out of the folder; ArtifactDamaged; and what the
    server refuses for good.
    """
    for artifact in lease.grant.inputs:
        while not _fetch(server, artifact, folder):
            if lease.is_lost or lease.has_ended or shutdown.is_ending:
                return False
            shutdown.wait(_RETRY_S)
    return True


def _fetch(server: Server, artifact: InputArtifact, folder: WorkFolder) -> bool:
    path = folder.inputs / artifact.name
    if path.parent != folder.inputs or artifact.name in ("", ".", ".."):
        raise GrantRefused(f"The input name {artifact.name!r} is no plain file name.")
    try:
        server.download_artifact(artifact.sha256, path)
    except FINAL_REFUSALS:
        raise
    except ArchfrontError as error:
        _logger.info("The input %s is not here yet: %s", artifact.name, error)
        return False
    received = file_sha256(path)
    if received != artifact.sha256:
        raise ArtifactDamaged(
            f"The input {artifact.name} arrived with SHA-256 {received}, not {artifact.sha256}."
        )
    return True
