import logging

import pytest

from search_spaces.metric import OPTIONAL_METRICS
from service.use_cases.unmet_stages import METRIC_REMEDIES
from workers import optional_metrics
from workers.errors import MetricNotGiven
from workers.optional_metrics import metrics_of_this_host


def _cannot() -> None:
    raise MetricNotGiven("nothing counts here; install a counter")


def test_what_cannot_be_given_is_not_offered_and_the_reason_told(monkeypatch, caplog) -> None:
    probes = {"instruction_count": lambda: None, "energy_mj": _cannot}
    monkeypatch.setattr(optional_metrics, "_PROBES", probes)
    with caplog.at_level(logging.INFO):
        assert metrics_of_this_host() == ("instruction_count",)
    assert (
        "energy_mj is not offered on this host: nothing counts here; install a counter"
        in caplog.text
    )


@pytest.mark.parametrize("known", [optional_metrics._PROBES, METRIC_REMEDIES])
def test_every_optional_metric_has_its_probe_and_its_remedy(known) -> None:
    assert known.keys() == {metric.name for metric in OPTIONAL_METRICS}
