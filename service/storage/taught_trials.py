"""What of an experiment's trials a model can learn from, without all that a reader may want."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from search_spaces.arm import Arm
from service.domain.measurement import Measurement
from service.domain.trial import TrialStatus
from service.storage.candidates import TAUGHT
from service.storage.tables import measurements, trials


@dataclass(frozen=True)
class TaughtTrial:
    """What of a final trial a model can learn from; measurements without their protocols."""

    arm: Arm
    status: TrialStatus
    measurements: dict[str, Measurement]


def taught_trials(connection: Connection, experiment_id: str) -> list[TaughtTrial]:
    """The trials that ended with a result, in the order they ended; two queries."""
    ended = (
        trials.c.experiment_id == experiment_id,
        trials.c.status.in_(TAUGHT),
    )
    rows = connection.execute(
        select(trials.c.id, trials.c.parameters, trials.c.status)
        .where(*ended)
        .order_by(trials.c.ended_at, trials.c.number)
    ).all()
    measured: dict[str, dict[str, Measurement]] = {row.id: {} for row in rows}
    found = select(
        measurements.c.trial_id,
        measurements.c.metric,
        measurements.c.mean,
        measurements.c.sem,
        measurements.c.n,
        measurements.c.unit,
    ).where(measurements.c.trial_id.in_(select(trials.c.id).where(*ended)))
    for trial_id, metric, mean, sem, n, unit in connection.execute(found):
        measured[trial_id][metric] = Measurement(mean=mean, sem=sem, n=n, unit=unit)
    return [
        TaughtTrial(Arm(parameters=row.parameters), TrialStatus(row.status), measured[row.id])
        for row in rows
    ]
