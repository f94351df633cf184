"""Experiments that name no runtime get one that their targets' workers offer."""

import pytest

from service.domain.errors import InvalidRequest
from service.domain.runtimes import Precision
from service.storage.database import Database
from service.use_cases.resolve_runtimes import resolve_runtimes
from tests.service.offered_targets import offered
from tests.service.toy_experiments import (
    BOTH_TOY_SPACES,
    created,
    registered,
    surely_claimed,
    topped_up,
    worker_spec,
)

ALL = ["onnxruntime", "openvino", "torch_eager"]


def resolved(database: Database, precisions: tuple[Precision, ...] = (), **changes):
    with database.read() as connection:
        return resolve_runtimes(connection, worker_spec(**changes), precisions)


def test_without_workers_it_is_the_usual_one(database: Database) -> None:
    assert resolved(database).measurement.runtime == "onnxruntime"


def test_it_is_the_best_that_the_worker_offers(database: Database) -> None:
    registered(database, targets=[offered(runtimes=ALL)])
    spec = resolved(database)
    assert spec.measurement.runtime == "openvino"
    with database.read() as connection:
        assert resolve_runtimes(connection, spec) == spec


def test_each_target_has_its_own(database: Database) -> None:
    registered(database, targets=[offered(runtimes=ALL), offered("rpi5", runtimes=["ncnn"])])
    spec = resolved(database, targets=["this-host", "rpi5"])
    runtimes = [target.settings(spec.measurement).runtime for target in spec.targets]
    assert runtimes == ["openvino", "ncnn"]


def test_what_all_workers_have_in_common_is_preferred(database: Database) -> None:
    registered(database, "one", targets=[offered(runtimes=ALL, device="one")])
    registered(database, "two", targets=[offered(runtimes=["onnxruntime", "ncnn"], device="two")])
    assert resolved(database).measurement.runtime == "onnxruntime"
    registered(database, "three", targets=[offered(runtimes=["executorch"], device="three")])
    assert resolved(database).measurement.runtime == "openvino"


def test_a_named_runtime_stays(database: Database) -> None:
    registered(database, targets=[offered(runtimes=ALL)])
    named = resolved(database, measurement={"runtime": "executorch"})
    assert named.measurement.runtime == "executorch"
    target = {"name": "this-host", "runtime": "torch_eager"}
    (only,) = resolved(database, targets=[target]).targets
    assert only.runtime == "torch_eager"


def test_the_precision_decides_with_it(database: Database) -> None:
    registered(database, targets=[offered(runtimes=["onnxruntime", "torch_eager"])])
    assert resolved(database, measurement={"precision": "bf16"}).measurement.runtime == (
        "torch_eager"
    )


def test_it_has_every_precision_that_arms_may_choose(database: Database) -> None:
    registered(database, targets=[offered(runtimes=["ncnn", "onnxruntime", "openvino"])])
    assert resolved(database, ("fp32", "fp16")).measurement.runtime in {"ncnn", "openvino"}
    assert resolved(database, ("fp32", "bf16", "int8_static")).measurement.runtime == "openvino"


def test_a_runtime_that_lacks_one_of_the_arms_precisions_is_refused(database: Database) -> None:
    target = {"name": "this-host", "runtime": "ncnn"}
    with pytest.raises(InvalidRequest, match=r"'ncnn' has no 'int8_static'") as refused:
        resolved(database, ("fp32", "int8_static"), targets=[target])
    assert refused.value.field == "targets.0.runtime"
    assert "Narrow the parameter" in str(refused.value.remedy)


def test_a_precision_that_a_targets_runtime_has_not_is_refused(database: Database) -> None:
    target = {"name": "this-host", "precision": "bf16"}
    with pytest.raises(InvalidRequest, match=r"'onnxruntime' has no 'bf16'") as refused:
        resolved(database, measurement={"runtime": "onnxruntime"}, targets=[target])
    assert refused.value.field == "targets.0.precision"


def test_trials_are_measured_in_what_was_chosen(database: Database) -> None:
    worker = registered(database, targets=[offered(runtimes=ALL)], search_spaces=BOTH_TOY_SPACES)
    experiment_id = created(database, worker_spec(search_space="quick-toy"))
    topped_up(database, experiment_id, 1)
    grant = surely_claimed(database, worker)
    assert grant.measurement.runtime == "openvino"
