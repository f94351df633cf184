"""Says on the experiment that its model gave no suggestion, and when it gives some again."""

from sqlalchemy import Connection

from service.storage.candidates import model_trouble, set_model_trouble
from service.storage.experiments import lock_experiment, record_change

TROUBLE_EVENT = "suggestion_failed"
RECOVERY_EVENT = "suggestion_recovered"


def note_model_trouble(connection: Connection, experiment_id: str, reason: str) -> None:
    """Records why, once while it stays the same. Raises: ExperimentNotFound."""
    experiment = lock_experiment(connection, experiment_id)
    if model_trouble(connection, experiment.id) == reason:
        return
    set_model_trouble(connection, experiment.id, reason)
    record_change(connection, experiment.id, TROUBLE_EVENT, data={"reason": reason})


def note_model_recovery(connection: Connection, experiment_id: str) -> None:
    """Takes the trouble back, if there was any. Raises: ExperimentNotFound."""
    if model_trouble(connection, experiment_id) is None:
        return
    experiment = lock_experiment(connection, experiment_id)
    set_model_trouble(connection, experiment.id, None)
    record_change(connection, experiment.id, RECOVERY_EVENT)
