"""A worker's last word on a lease, in the form the server takes it."""

import hashlib
from pathlib import Path
from typing import Literal

from search_spaces.values import Value
from service.schemas.leases import (
    CompleteRequest,
    FailRequest,
    InfeasibleRequest,
    LeaseGrant,
    OutputArtifact,
)
from workers.stage_result import StageCompleted, StageFailed, StageInfeasible


class CompleteReport(Value):
    """A stage's result; its artifacts are uploaded before it."""

    kind: Literal["complete"] = "complete"
    lease_id: str
    body: CompleteRequest


class FailReport(Value):
    """A failed attempt."""

    kind: Literal["fail"] = "fail"
    lease_id: str
    body: FailRequest


class InfeasibleReport(Value):
    """An infeasible arm."""

    kind: Literal["infeasible"] = "infeasible"
    lease_id: str
    body: InfeasibleRequest


Report = CompleteReport | FailReport | InfeasibleReport


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def report_of(
    grant: LeaseGrant, result: StageCompleted | StageInfeasible | StageFailed
) -> tuple[Report, dict[str, Path]]:
    """The report on how the stage of `grant` ended, and the files it names, by SHA-256."""
    if isinstance(result, StageCompleted):
        named = [(output.name, output.path, file_sha256(output.path)) for output in result.files]
        body = CompleteRequest(
            epoch=grant.epoch,
            measurements=result.measurements,
            artifacts=tuple(OutputArtifact(name=name, sha256=sha256) for name, _, sha256 in named),
            environment=result.environment,
            early_stopped=result.early_stopped,
            calibrations=result.calibrations,
        )
        files = {sha256: path for _, path, sha256 in named}
        return CompleteReport(lease_id=grant.lease_id, body=body), files
    if isinstance(result, StageInfeasible):
        reason = InfeasibleRequest(
            epoch=grant.epoch, reason=result.reason, environment=result.environment
        )
        return InfeasibleReport(lease_id=grant.lease_id, body=reason), {}
    failure = FailRequest(
        epoch=grant.epoch,
        fault=result.fault,
        message=result.message,
        detail=result.detail,
        environment=result.environment,
    )
    return FailReport(lease_id=grant.lease_id, body=failure), {}
