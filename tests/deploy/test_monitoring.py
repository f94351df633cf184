"""Dashboard and alerts ask for nothing that the API does not tell."""

import json
import re

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.api.app import api_routes, create_app
from service.domain.experiment import ExperimentStatus
from service.domain.trial import TrialStatus
from service.settings import Settings
from service.storage.database import Database
from tests.deploy.shipped import DEPLOY, published_addresses

DASHBOARD = json.loads((DEPLOY / "grafana" / "archfront.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
EXPRESSIONS = {
    **{
        f"panel {panel['title']}, {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    },
    **{f"alert {rule['alert']}": rule["expr"] for rule in ALERTS["groups"][0]["rules"]},
}
OF_PROMETHEUS = {"job", "instance", "le"}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The labels of every series that an API process gives, by its name."""
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(data_folder=folder)
    database = Database(settings.database)
    database.upgrade()
    with TestClient(create_app(settings, database)) as api:
        api.get("/readyz")
        text = api.get("/metrics").text
    database.dispose()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def selectors(expression):
    """(Metric, label, operator, value) of each condition in the expression."""
    for name, conditions in re.findall(
        r"\b(archfront_\w+|up)\{((?:[^{}\"]|\"[^\"]*\")*)\}", expression
    ):
        for label, operator, value in re.findall(
            r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"", conditions
        ):
            yield name, label, operator, value


@pytest.mark.parametrize(("place", "expression"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_every_metric_and_label_exists(place, expression, told):
    named = set(re.findall(r"\barchfront_\w+", expression)) - {"archfront"}
    assert named or "up{" in expression
    assert named <= told.keys()
    for name, label, _, _ in selectors(expression):
        assert label in told.get(name, set()) | OF_PROMETHEUS, f"{name} has no label {label}"
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    labels = {label.strip() for group in grouped for label in group.split(",")}
    assert labels <= set().union(*(told[name] for name in named), OF_PROMETHEUS)


@pytest.mark.parametrize(("place", "expression"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_every_status_and_route_asked_for_can_occur(place, expression):
    routes = {route.path for route in api_routes()} | {"unmatched"}
    for name, label, operator, value in selectors(expression):
        parts = value.split("|") if "~" in operator else [value]
        if label == "status" and name in ("archfront_trials", "archfront_experiments"):
            kind = TrialStatus if name == "archfront_trials" else ExperimentStatus
            assert set(parts) <= {status.value for status in kind}
        elif label == "route":
            for part in parts:
                matches = re.compile(part if "~" in operator else re.escape(part))
                assert any(matches.fullmatch(route) for route in routes), part


@pytest.mark.parametrize(("place", "expression"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_what_every_process_tells_alike_is_never_added_up(place, expression):
    for gauge in re.findall(r"\b(archfront_\w+)", expression):
        if not gauge.startswith("archfront_http_"):
            assert not re.search(rf"\bsum\b[^)]*{gauge}", expression)


def test_prometheus_asks_where_the_compose_file_publishes():
    scrapes = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    (job,) = scrapes["scrape_configs"]
    assert set(job["static_configs"][0]["targets"]) == published_addresses()
    assert f'job="{job["job_name"]}"' in EXPRESSIONS["alert ArchfrontNotServing"]
    assert all((DEPLOY / "prometheus" / file).is_file() for file in scrapes["rule_files"])


def test_panels_do_not_overlap_and_carry_ids_of_their_own():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
