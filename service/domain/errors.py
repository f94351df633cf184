"""The one tree of errors, each named after the state of the world that it reports.

The class docstring is the title a user reads; the message names the field, the value and
the remedy. Nothing here knows HTTP: `service.api.problems` maps each class to a status.
"""


class ArchfrontError(Exception):
    """Something stands in the way of the request."""

    def __init__(
        self, detail: str | None = None, *, field: str | None = None, remedy: str | None = None
    ) -> None:
        self.detail = detail or self.title()
        self.field = field
        self.remedy = remedy
        super().__init__(self.detail if remedy is None else f"{self.detail} {remedy}")

    @classmethod
    def title(cls) -> str:
        """The first line of the class docstring."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


class NotFound(ArchfrontError):
    """No such thing exists."""


class ExperimentNotFound(NotFound):
    """No experiment has this id or name."""


class TrialNotFound(NotFound):
    """The experiment has no trial of this number."""


class LeaseNotFound(NotFound):
    """No lease has this id."""


class WorkerNotFound(NotFound):
    """No worker has this id."""


class ArtifactNotFound(NotFound):
    """No artifact has this SHA-256."""


class TokenNotFound(NotFound):
    """No token has this id."""


class SearchSpaceNotFound(NotFound):
    """No installed search space has this name and version."""


class InvalidRequest(ArchfrontError):
    """The request contradicts itself or the experiment."""


class ArmOutsideSearchSpace(InvalidRequest):
    """The arm is not legal in the experiment's search space."""


class UnknownMetric(InvalidRequest):
    """No stage of the experiment gives this metric."""


class MeasurementMissing(InvalidRequest):
    """A metric that the experiment needs was not reported."""


class DigestMismatch(InvalidRequest):
    """The bytes received do not have the SHA-256 that was announced."""


class IdempotencyKeyReused(InvalidRequest):
    """The idempotency key was used before with another request."""


class Conflict(ArchfrontError):
    """The state of the world does not allow this now."""


class NameTaken(Conflict):
    """Another one already has this name."""


class BudgetExhausted(Conflict):
    """The experiment has created as many trials as its budget allows."""


class TransitionRefused(Conflict):
    """The state it is in does not lead to the state asked for."""


class LeaseLost(Conflict):
    """The lease is no longer held: it expired and was given away, or the stage has ended."""


class TokenSpent(Conflict):
    """The one-use token has been used."""


class NoCandidateReady(Conflict):
    """No candidate is ready yet; the suggester is at work."""


class SearchSpaceExhausted(Conflict):
    """Every legal arm of the search space that can be found was already tried or is under way."""


class SuggestionFailed(Conflict):
    """The strategy found no new legal arm; another one has to fill in."""


class FrontEmpty(Conflict):
    """No trial has yet completed within the constraints."""


class TooLarge(ArchfrontError):
    """The request is larger than the server accepts."""


class Unauthenticated(ArchfrontError):
    """A valid token is needed."""


class ScopeMissing(ArchfrontError):
    """The token does not carry the scope that this needs."""


class AnothersWorker(ScopeMissing):
    """The token belongs to another worker."""


class DatabaseNewerThanCode(ArchfrontError):
    """A newer release has already migrated this database."""


class Unavailable(ArchfrontError):
    """The server cannot answer just now; the same request may go through later."""
