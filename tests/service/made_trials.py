"""Experiments and trials made by hand, as storage would give them."""

from datetime import UTC, datetime, timedelta

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import FloatParameter
from service.domain.experiment import Experiment, ExperimentSpec, ExperimentStatus
from service.domain.observed_front import observe_front, trace_hypervolume
from service.domain.trial import Trial, TrialStatus

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

ERROR_AND_LATENCY = (
    {"metric": "frame_error", "goal": "minimize"},
    {"metric": "latency_ms", "goal": "minimize"},
)
METRICS = (
    MetricDefinition(name="frame_error", better="lower"),
    MetricDefinition(name="accuracy", better="higher"),
    MetricDefinition(name="latency_ms", unit="ms", better="lower"),
    MetricDefinition(name="file_size_bytes", unit="B", better="lower"),
)


def make_experiment(objectives=ERROR_AND_LATENCY, outcome_constraints=(), metrics=METRICS, **more):
    width = FloatParameter(name="width", low=0, high=1)
    spec = ExperimentSpec(
        name="commands",
        parameters=(width,),
        metrics=metrics,
        objectives=objectives,
        outcome_constraints=outcome_constraints,
        budget=1_000_000,
    )
    values = {
        "id": "e1",
        "spec": spec,
        "space": ParameterSpace(parameters=(width,)),
        "metrics": metrics,
        "status": ExperimentStatus.RUNNING,
        "budget_trials": 1_000_000,
        "trials_created": 0,
        "data_version": 7,
        "created_at": START,
    }
    return Experiment(**(values | more))


def make_trial(number, measurements, status=TrialStatus.COMPLETED, ended_s=None, parameters=None):
    return Trial(
        id=f"t{number}",
        experiment_id="e1",
        number=number,
        arm=Arm(parameters={"width": 0.5} if parameters is None else parameters),
        status=status,
        source="sobol",
        created_at=START,
        ended_at=START + timedelta(seconds=number + 1 if ended_s is None else ended_s),
        measurements=measurements,
    )


def trials_at(*points, metrics=("frame_error", "latency_ms")):
    """One completed trial per point, numbered from 0."""
    return [
        make_trial(number, dict(zip(metrics, point, strict=True)))
        for number, point in enumerate(points)
    ]


def make_search(count=24, objectives=ERROR_AND_LATENCY, outcome_constraints=(), **more):
    """An experiment and `count` trials that trade error for latency, with noise and protocols."""
    trials = []
    for number in range(count):
        width = (number * 7) % count + 1
        waste = 1 + (number % 3) * 0.35  # two of three are dominated
        latency_ms = 0.5 * width * waste
        protocol = {"runtime": "onnxruntime", "threads": 1, "device": {"cpu": "2 cores"}}
        measurements = {
            "frame_error": {"mean": 0.6 / width**0.5 * waste, "sem": 0.01, "n": 2_000},
            "latency_ms": {
                "mean": latency_ms,
                "sem": 0.01 * latency_ms,
                "n": 256,
                "unit": "ms",
                "protocol": protocol | {"seed": number},
            },
            "accuracy": {"mean": 1 - 0.6 / width**0.5, "sem": 0.01, "n": 2_000},
            "file_size_bytes": {"mean": 40_000.0 * width, "unit": "B", "protocol": protocol},
        }
        parameters = {"width": 32 * width, "activation": "gelu", "gated": number % 2 == 0}
        trials.append(make_trial(number, measurements, parameters=parameters))
    return make_experiment(objectives, outcome_constraints, **more), trials


def make_front(*given, max_others=2_000, **named):
    """The front and the trace of `make_search`."""
    experiment, trials = make_search(*given, **named)
    return observe_front(experiment, trials, max_others), trace_hypervolume(experiment, trials)
