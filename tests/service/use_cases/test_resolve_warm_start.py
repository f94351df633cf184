from typing import Any

import pytest

from service.domain.errors import ArchfrontError, ExperimentNotFound, InvalidRequest, UnknownMetric
from service.domain.experiment import Experiment, ExperimentSpec
from service.domain.warm_start import WarmStart
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.storage.experiments import find_experiment
from service.use_cases import read_sources
from service.use_cases.attach_trial import attach_trial
from service.use_cases.create_experiment import create_experiment
from service.use_cases.read_experiment import read_experiment
from service.use_cases.read_sources import sources_of
from service.use_cases.steer_experiment import stop
from service.use_cases.top_up_candidates import suggestion_request
from tests.conftest import FakeClock
from tests.service.toy_experiments import REGISTRY, created, external_spec, worker_spec

WIDTH = {"type": "int", "name": "width", "low": 1, "high": 64}
RATE = {"type": "float", "name": "rate", "low": 0, "high": 1}
COST = {"name": "cost", "unit": "ms"}
BOTH = [{"metric": "score", "goal": "maximize"}, {"metric": "cost", "goal": "minimize"}]


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


def spec(name: str = "later", *sources: Any, **changes: Any) -> ExperimentSpec:
    given: dict[str, Any] = {
        "name": name,
        "parameters": [WIDTH],
        "metrics": [{"name": "score"}, COST],
        "objectives": BOTH,
        "budget": 20,
        "warm_start": list(sources),
    }
    return external_spec(**(given | changes))


def attached(database: Database, experiment: str, *, reason: str | None = None, **arm: Any) -> None:
    measured = {} if reason else {"score": {"mean": arm["width"] / 64, "sem": 0.01}, "cost": 5}
    request = AttachRequest(parameters=arm, measurements=measured, infeasible_reason=reason)
    with database.write() as connection:
        attach_trial(connection, experiment, request)


def found(database: Database, id_or_name: str) -> Experiment:
    with database.read() as connection:
        return find_experiment(connection, id_or_name)


def sources(database: Database, id_or_name: str):
    with database.read() as connection:
        return sources_of(connection, find_experiment(connection, id_or_name))


def refused(database: Database, one: ExperimentSpec) -> ArchfrontError:
    with (
        database.write() as connection,
        pytest.raises((InvalidRequest, ExperimentNotFound)) as info,
    ):
        create_experiment(connection, one, REGISTRY)
    return info.value


def test_an_earlier_search_informs_a_later_one(database: Database, clock: FakeClock) -> None:
    created(database, spec("first"))
    later = created(database, spec("later", "first"))
    assert sources(database, later) == ()
    for width in (8, 16):
        clock.advance(1)
        attached(database, "first", width=width)
    attached(database, "first", reason="does not fit", width=64)
    (source,) = sources(database, later)
    assert source.name == "first"
    assert [(o.arm.parameters, o.status.value) for o in source.observations] == [
        ({"width": 8}, "completed"),
        ({"width": 16}, "completed"),
        ({"width": 64}, "infeasible"),
    ]
    score = source.observations[0].measurements["score"]
    assert (score.mean, score.sem) == (0.125, 0.01)


def test_all_is_written_out_and_resolving_again_changes_nothing(database: Database) -> None:
    created(
        database,
        spec(
            "first",
            metrics=[{"name": "accuracy", "better": "higher"}, COST],
            objectives=[{"metric": "accuracy", "goal": "maximize"}],
        ),
    )
    wish = {
        "experiment": "first",
        "metrics": {"accuracy": "score"},
        "parameters": {"rate": 1},
    }
    created(database, spec("later", wish, parameters=[WIDTH, RATE]))
    (entry,) = found(database, "later").spec.warm_start
    assert entry.metrics == {"accuracy": "score", "cost": "cost"}
    assert repr(entry.parameters) == "{'rate': 1.0}"
    again = found(database, "later").spec.model_copy(update={"name": "again"})
    created(database, again)
    assert found(database, "again").spec.warm_start == (entry,)


def test_parameters_are_kept_filled_ignored_or_the_trial_left_out(database: Database) -> None:
    cells = {"type": "int", "name": "cells", "low": 1, "high": 9}
    wide = WIDTH | {"high": 512}
    created(database, spec("first", parameters=[wide, cells]))
    wish = {"experiment": "first", "parameters": {"rate": 0.5}}
    created(database, spec("later", wish, parameters=[WIDTH, RATE]))
    attached(database, "first", width=8, cells=3)
    attached(database, "first", width=500, cells=3)
    (source,) = sources(database, "later")
    assert [o.arm.parameters for o in source.observations] == [{"width": 8, "rate": 0.5}]
    with database.read() as connection:
        (view,) = read_experiment(connection, "later").sources
    assert (view.name, view.final_trials, view.used_trials) == ("first", 2, 1)
    assert view.filled_parameters == {"rate": 0.5}
    assert view.ignored_parameters == ("cells",)
    assert view.metrics == {"score": "score", "cost": "cost"}


def test_the_baseline_fills_what_a_narrowed_space_lacked(database: Database) -> None:
    metrics = [
        {"name": "error", "unit": "share", "better": "lower"},
        {"name": "latency_ms", "unit": "ms", "better": "lower"},
    ]
    objectives = [
        {"metric": "error", "goal": "minimize"},
        {"metric": "latency_ms", "goal": "minimize"},
    ]
    created(database, spec("first", metrics=metrics, objectives=objectives))
    created(database, worker_spec(name="later", warm_start=["first"]))
    (entry,) = found(database, "later").spec.warm_start
    assert entry.parameters == {"rate": 0.1, "pruned": False}


def test_the_optimizer_is_told_of_the_sources(database: Database) -> None:
    created(database, spec("first"))
    attached(database, "first", width=8)
    later = created(database, spec("later", "first"))
    with database.read() as connection:
        request = suggestion_request(connection, later)
    assert request is not None
    assert [(s.name, len(s.observations)) for s in request.sources] == [("first", 1)]
    assert request.observations == ()
    # Measured under other circumstances, the arm may be proposed again.
    assert request.known_arms == ()


def test_a_source_that_stopped_still_teaches(database: Database) -> None:
    created(database, spec("first"))
    attached(database, "first", width=8)
    with database.write() as connection:
        stop(connection, "first")
    created(database, spec("later", "first"))
    assert len(sources(database, "later")[0].observations) == 1


def test_several_sources_keep_their_order_and_are_not_followed(database: Database) -> None:
    for name in ("a", "b"):
        created(database, spec(name))
        attached(database, name, width=8)
    created(database, spec("c", "a"))
    attached(database, "c", width=9)
    created(database, spec("later", "c", "b"))
    assert [source.name for source in sources(database, "later")] == ["c", "b"]


@pytest.mark.parametrize(
    ("changes", "field", "message", "remedy"),
    [
        ({"warm_start": ["frist"]}, "warm_start.0.experiment", "'frist'", "Did you mean 'first'?"),
        ({"warm_start": ["later"]}, "warm_start.0.experiment", "from itself", "earlier"),
        ({"warm_start": ["first", "first"]}, "warm_start.1", "named twice", "once"),
        (
            {"parameters": [RATE], "warm_start": ["first"]},
            "warm_start.0.experiment",
            "shares no parameter: it has width",
            "overlapping",
        ),
        (
            {"parameters": [WIDTH, RATE], "warm_start": ["first"]},
            "warm_start.0.parameters.rate",
            "no parameter 'rate'",
            "parameters: {rate: ...}",
        ),
        (
            {
                "metrics": [{"name": "wer"}],
                "objectives": [{"metric": "wer", "goal": "minimize"}],
                "warm_start": ["first"],
            },
            "warm_start.0.metrics",
            "shares none of the objectives wer; it has score, cost",
            "metrics: {score: wer}",
        ),
        (
            {"metrics": [{"name": "score"}, COST | {"unit": "s"}], "warm_start": ["first"]},
            "warm_start.0.metrics.cost",
            "has cost in 'ms'; here cost is in 's'",
            "same unit",
        ),
        (
            {
                "metrics": [{"name": "score", "better": "lower"}, COST],
                "objectives": [{"metric": "score", "goal": "minimize"}],
                "warm_start": ["first"],
            },
            "warm_start.0.metrics.score",
            "better when higher; here score is better when lower",
            "another metric",
        ),
        (
            {"warm_start": [{"experiment": "first", "metrics": {"scor": "score"}}]},
            "warm_start.0.metrics.scor",
            "'first' has no metric 'scor'",
            "Did you mean 'score'?",
        ),
        (
            {"warm_start": [{"experiment": "first", "metrics": {"score": "scope"}}]},
            "warm_start.0.metrics.score",
            "The new experiment has no metric 'scope'",
            "Did you mean 'score'?",
        ),
        (
            {"warm_start": [{"experiment": "first", "metrics": {"score": "cost", "cost": "cost"}}]},
            "warm_start.0.metrics",
            "stand for cost",
            "Keep one",
        ),
        (
            {"warm_start": [{"experiment": "first", "parameters": {"depth": 3}}]},
            "warm_start.0.parameters.depth",
            "no parameter here; there are width",
            "leave it out",
        ),
        (
            {"warm_start": [{"experiment": "first", "parameters": {"width": 900}}]},
            "warm_start.0.parameters.width",
            "needs a whole number in [1, 64], got 900",
            "leave it out",
        ),
        (
            {"warm_start": [{"experiment": "first", "parameters": {"width": 9}}]},
            "warm_start.0.parameters.width",
            "has its own value in every trial of 'first'",
            "leave it out",
        ),
        (
            {"optimizer": {"strategy": "sobol"}, "warm_start": ["first"]},
            "warm_start",
            "no model",
            "auto",
        ),
    ],
)
def test_what_cannot_help_is_refused(
    database: Database, changes: dict[str, Any], field: str, message: str, remedy: str
) -> None:
    created(database, spec("first"))
    error = refused(database, spec("later", **changes))
    assert (error.field, message in str(error), remedy in str(error.remedy)) == (field, True, True)
    assert isinstance(error, UnknownMetric) == ("has no metric" in str(error))


def test_the_first_search_of_all_has_no_other_to_name(database: Database) -> None:
    assert refused(database, spec("later", "first")).remedy == "There is none yet."


def test_no_more_than_five() -> None:
    with pytest.raises(ValueError, match="at most 5"):
        spec("later", *"abcdef")
    assert spec("later", "a").warm_start == (WarmStart(experiment="a"),)


def test_only_trials_with_a_shared_metric_teach_the_newest_of_too_many(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_score = [{"metric": "score", "goal": "maximize"}]
    created(database, spec("first", objectives=only_score))
    created(
        database,
        spec("later", "first", metrics=[COST], objectives=[{"metric": "cost", "goal": "minimize"}]),
    )
    for width, measured in (
        (1, {"score": 1}),
        (2, {"score": 1, "cost": 2}),
        (3, {"score": 1, "cost": 3}),
    ):
        clock.advance(1)
        request = AttachRequest(parameters={"width": width}, measurements=measured)
        with database.write() as connection:
            attach_trial(connection, "first", request)
    (source,) = sources(database, "later")
    assert [o.arm.parameters["width"] for o in source.observations] == [2, 3]
    monkeypatch.setattr(read_sources, "MAX_TRIALS_OF_A_SOURCE", 1)
    (source,) = sources(database, "later")
    assert [o.arm.parameters["width"] for o in source.observations] == [3]
