import pytest
from pydantic import ValidationError

from search_spaces.metric import MEASURED_METRICS, MetricDefinition
from service.domain.device import (
    DeviceProfile,
    MeasurementSettings,
    OfferedTarget,
    Target,
    measured_metrics,
)
from service.domain.experiment import ExperimentSpec
from service.domain.runtimes import RUNTIME_PRECISIONS
from tests.service.offered_targets import PROFILE, offered


def key(name: str = "rpi5", runtime: str = "onnxruntime", **changes) -> str:
    return OfferedTarget.model_validate(offered(name, **changes)).comparison_key(runtime)


@pytest.mark.parametrize(
    "changes",
    [
        {"processor": "Cortex-A55"},
        {"architecture": "armv7l"},
        {"cores": 8},
        {"make": "Raspberry Pi"},
        {"model": "Raspberry Pi 5"},
        {"governor": "ondemand"},
        {"governor": None},
        {"version": "1.33.0"},
        {"name": "rpi4"},
    ],
)
def test_figures_of_unlike_devices_and_runtimes_do_not_compare(changes: dict) -> None:
    assert key(**changes) != key()


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel": "6.13"},
        {"system": "Debian GNU/Linux 13"},
        {"torch": "2.14.0"},
        {"memory_bytes": 8_000_000_000},
        {"device": "another-board"},
        {"metrics": ["instruction_count"]},
    ],
)
def test_figures_of_alike_devices_compare(changes: dict) -> None:
    assert key(**changes) == key()


def test_an_offer_of_before_gives_no_optional_metric() -> None:
    before = {name: value for name, value in offered().items() if name != "metrics"}
    assert OfferedTarget.model_validate(before).metrics == ()


def test_the_hardware_alone_makes_the_key_of_a_profile() -> None:
    profile = DeviceProfile.model_validate(PROFILE)
    updated = profile.model_copy(update={"kernel": "6.13", "governor": "ondemand"})
    assert updated.key == profile.key
    assert profile.model_copy(update={"cores": 2}).key != profile.key


def test_a_target_is_written_as_its_name_or_with_what_differs_there() -> None:
    common = MeasurementSettings(threads=2, time_limit_s=5.0)
    assert Target.model_validate("rpi5").settings(common) == common
    own = Target.model_validate({"name": "rpi5", "runtime": "executorch", "threads": 4})
    assert own.settings(common) == common.model_copy(update={"runtime": "executorch", "threads": 4})


def test_each_target_has_metrics_of_its_own_and_the_architecture_has_its_own_once() -> None:
    targets = (Target(name="this-host"), Target(name="rpi5"))
    names = [metric.name for metric in measured_metrics(targets)]
    assert len(set(names)) == len(names)
    assert {"latency_ms", "latency_ms@rpi5", "export_s", "export_s@rpi5"} <= set(names)
    assert [name for name in names if name.startswith("macs")] == ["macs"]
    assert {metric.name for metric in measured_metrics(targets[:1])} == {
        metric.name for metric in MEASURED_METRICS
    }


def test_a_spaces_own_metric_of_the_device_is_named_by_target() -> None:
    targets = (Target(name="this-host"), Target(name="rpi5"))
    speed = MetricDefinition(name="tokens_per_s", better="higher", stage="measure", by_device=True)
    found = {metric.name: metric for metric in measured_metrics(targets, (speed,))}
    assert found["tokens_per_s"].target == "this-host"
    assert found["tokens_per_s@rpi5"].target == "rpi5"
    assert found["tokens_per_s@rpi5"].better == "higher"


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (["rpi5", "rpi5"], "targets name rpi5 twice"),
        ([], "at least 1 item"),
        (["rpi 5"], "should match pattern"),
        ([{"name": "rpi5", "runtime": "tvm"}], "'onnxruntime'"),
    ],
)
def test_targets_that_make_no_sense_are_refused(targets: list, told: str) -> None:
    spec = {
        "name": "s",
        "search_space": "toy",
        "objectives": [{"metric": "error", "goal": "minimize"}],
        "budget": 4,
    }
    with pytest.raises(ValidationError, match=told):
        ExperimentSpec.model_validate(spec | {"targets": targets})


def test_every_runtime_computes_in_fp32_which_is_the_default() -> None:
    for runtime, precisions in RUNTIME_PRECISIONS.items():
        assert MeasurementSettings(runtime=runtime).precision == "fp32"
        for precision in precisions:
            assert MeasurementSettings(runtime=runtime, precision=precision).precision == precision


def test_a_precision_the_runtime_has_not_names_those_it_has() -> None:
    with pytest.raises(ValidationError) as refused:
        MeasurementSettings.model_validate({"runtime": "onnxruntime", "precision": "bf16"})
    (error,) = refused.value.errors()
    assert error["loc"] == ("precision",)
    assert "'onnxruntime' has no 'bf16', but fp32, int8_dynamic, int8_static" in error["msg"]


def test_an_unknown_runtime_is_told_as_such() -> None:
    with pytest.raises(ValidationError) as refused:
        MeasurementSettings.model_validate({"runtime": "onnx", "precision": "bf16"})
    assert [error["loc"] for error in refused.value.errors()] == [("runtime",)]
