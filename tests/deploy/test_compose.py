"""The compose file: what is kept, what is reached, who waits for whom."""

import re

import pytest
import yaml

from service.settings import DEFAULT_PORT
from tests.deploy.shipped import COMPOSE, DEPLOY, compose_services, published_addresses

SERVICES = compose_services()
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("archfront/")]


def test_it_starts_a_database_two_apis_a_suggester_and_a_worker():
    assert set(SERVICES) == {"postgres", "api", "suggester", "worker"}
    assert SERVICES["api"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", OURS)
def test_a_process_of_ours_has_no_rights_that_it_does_not_need(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "cap_add", "network_mode"} & service.keys()


def test_nothing_can_be_reached_from_another_machine():
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert list(published) == ["api"]
    host, ports, inside = published["api"][0].split(":")
    first, last = map(int, ports.split("-"))
    assert host == "127.0.0.1"
    assert last - first + 1 == SERVICES["api"]["deploy"]["replicas"]
    assert int(inside) == DEFAULT_PORT


def test_the_proxy_finds_what_is_published():
    expected = published_addresses()
    caddyfile = (DEPLOY / "proxy" / "Caddyfile").read_text()
    assert set(re.findall(r"127\.0\.0\.1:\d+", caddyfile)) == expected
    assert "respond /metrics 404" in caddyfile


def test_what_has_to_be_kept_lies_in_a_volume():
    volumes = yaml.safe_load(COMPOSE.read_text())["volumes"]
    kept = {name: one["volumes"] for name, one in SERVICES.items() if "volumes" in one}
    assert set(kept) == {"postgres", "api", "worker"}
    for mounts in kept.values():
        for mount in mounts:
            assert mount.split(":")[0] in volumes
    assert kept["api"] == ["server:" + SERVICES["api"]["environment"]["ARCHFRONT_DATA_FOLDER"]]


def test_nobody_starts_before_what_it_needs():
    assert SERVICES["api"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert SERVICES["suggester"]["depends_on"]["api"]["condition"] == "service_healthy"
    assert {"postgres", "api", "worker"} == {
        name for name, one in SERVICES.items() if "healthcheck" in one
    }


def test_a_worker_is_probed_at_its_health_port_and_outlasts_its_drain():
    worker = SERVICES["worker"]
    port = worker["environment"]["ARCHFRONT_WORKER_HEALTH_PORT"]
    assert f":{port}/healthz" in worker["healthcheck"]["test"][-1]
    drain_s = float(worker["environment"]["ARCHFRONT_WORKER_DRAIN_S"])
    assert float(worker["stop_grace_period"].removesuffix("s")) > drain_s


def test_whatever_the_deployer_has_to_give_is_in_the_example():
    wanted = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    example = (DEPLOY / "compose" / ".env.example").read_text()
    assert wanted == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
