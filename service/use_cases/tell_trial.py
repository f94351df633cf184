"""Takes the outcome of a trial evaluated elsewhere."""

from sqlalchemy import Connection

from service.domain.errors import LeaseLost
from service.domain.trial import Trial
from service.schemas.trials import TellRequest
from service.storage.clock import database_now
from service.storage.experiments import lock_experiment
from service.storage.leases import keep_reply, kept_reply, newest_lease_of
from service.storage.trials import find_trial, trial_by_id
from service.use_cases.ask_trial import require_external
from service.use_cases.check_measurements import check_measurements, require_metrics
from service.use_cases.record_by_hand import record_by_hand
from service.use_cases.report_digest import report_digest


def tell_trial(connection: Connection, experiment_id: str, request: TellRequest) -> Trial:
    """The trial, completed or infeasible; telling the same again changes nothing.

    With an epoch, only the holder of that lease is heard. Without one, the first to tell is,
    even if the lease has expired since and the trial waits to be asked again.
    Raises: ExperimentNotFound, TrialNotFound, LeaseLost, UnknownMetric, MeasurementMissing,
        InvalidRequest, TransitionRefused if workers run the trials.
    """
    experiment = lock_experiment(connection, experiment_id)
    require_external(experiment)
    trial = find_trial(connection, experiment.id, request.trial_number)
    stage = trial.stages[-1]
    digest = report_digest(request)
    newest = newest_lease_of(connection, stage.id)
    if (
        newest is not None
        and trial.status.is_final
        and kept_reply(connection, newest.id, digest) is not None
    ):
        return trial
    if trial.status.is_final:
        raise LeaseLost(
            f"Trial {trial.number} has ended already: it is {trial.status}.",
            field="trial_number",
            remedy="Drop this result and ask anew.",
        )
    if request.epoch is not None and (stage.lease_id is None or stage.epoch != request.epoch):
        raise LeaseLost(
            f"Epoch {request.epoch} of trial {trial.number} is no longer held; "
            f"the newest is {stage.epoch}.",
            field="epoch",
            remedy="Drop this result and ask anew.",
        )
    found = check_measurements(experiment, request.measurements)
    if request.infeasible_reason is None:
        require_metrics(experiment, found)
    lease = record_by_hand(
        connection,
        experiment,
        trial,
        found,
        infeasible_reason=request.infeasible_reason,
        now=database_now(connection),
    )
    keep_reply(connection, lease.id, digest, {})
    return trial_by_id(connection, trial.id)
