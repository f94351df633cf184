"""Adds an arm chosen by hand, with its results or to be run."""

from sqlalchemy import Connection

from search_spaces.arm import Arm
from service.domain.errors import ArmOutsideSearchSpace, TransitionRefused
from service.domain.experiment import Experiment, ExperimentStatus
from service.domain.planned_stages import BY_HAND, planned_stages
from service.domain.trial import MANUAL_SOURCE, Trial
from service.schemas.trials import AttachRequest
from service.storage.candidates import Proposal, insert_candidates
from service.storage.clock import database_now
from service.storage.experiments import find_experiment, lock_experiment, set_experiment_status
from service.storage.trials import trial_by_id
from service.use_cases.check_measurements import check_measurements, require_metrics
from service.use_cases.record_by_hand import record_by_hand
from service.use_cases.share_trainings import share_trainings


def attach_trial(connection: Connection, experiment_id: str, request: AttachRequest) -> Trial:
    """The new trial: completed or infeasible if results come with it, else a candidate.

    It consumes budget. A candidate of an ask/tell experiment is asked first.
    Raises: ExperimentNotFound, BudgetExhausted, ArmOutsideSearchSpace, UnknownMetric,
        MeasurementMissing, InvalidRequest, TransitionRefused if the experiment is stopped.
    """
    experiment = lock_experiment(connection, experiment_id)
    if experiment.status is ExperimentStatus.STOPPED:
        raise TransitionRefused(
            f"Experiment {experiment.spec.name!r} is stopped for good.",
            remedy="Create a new experiment.",
        )
    arm = _legal_arm(experiment, request)
    has_results = bool(request.measurements) or request.infeasible_reason is not None
    found = check_measurements(experiment, request.measurements)
    if has_results and request.infeasible_reason is None:
        require_metrics(experiment, found)
    now = database_now(connection)
    stages = BY_HAND if has_results else planned_stages(experiment)
    by_hand = Proposal(arm, MANUAL_SOURCE, {})
    (trial_id,) = insert_candidates(connection, experiment, [by_hand], stages, now=now)
    if experiment.status is ExperimentStatus.COMPLETED:
        # It had ended without spending its budget, for want of new arms.
        set_experiment_status(connection, experiment, ExperimentStatus.RUNNING)
        experiment = find_experiment(connection, experiment.id)
    trial = trial_by_id(connection, trial_id)
    if has_results:
        record_by_hand(
            connection,
            experiment,
            trial,
            found,
            infeasible_reason=request.infeasible_reason,
            now=now,
        )
    share_trainings(connection, experiment)
    return trial_by_id(connection, trial_id)


def _legal_arm(experiment: Experiment, request: AttachRequest) -> Arm:
    problems = experiment.space.problems_with(request.parameters)
    if problems:
        listed = "; ".join(f"{name} {problem}" for name, problem in problems.items())
        first = next(iter(problems))
        raise ArmOutsideSearchSpace(
            f"The arm is not legal: {listed}.",
            field=f"parameters.{first}",
            remedy="Change these values.",
        )
    return experiment.space.canonical(request.parameters)
