"""Whatever deploy/ sets is a setting, and what it sets it to is valid."""

import re

import pytest

from service.settings import Settings, read_settings
from tests.deploy.shipped import (
    DEPLOY,
    HANDBOOKS,
    ROOT,
    SYSTEMD,
    compose_services,
    manifests,
    pods,
    units,
)
from workers.settings import WorkerSettings, read_worker_settings

SERVER = {f"ARCHFRONT_{name.upper()}" for name in Settings.model_fields}
WORKER = {f"ARCHFRONT_WORKER_{name.upper()}" for name in WorkerSettings.model_fields}
CLIENT = {"ARCHFRONT_URL", "ARCHFRONT_TOKEN"}
FILES = sorted({*HANDBOOKS, *(file for file in DEPLOY.rglob("*") if file.is_file())})


def environments():
    """(Where, name, value) of all that is set, with stand-ins for what the deployer gives."""
    for name, service in compose_services().items():
        for variable, value in service["environment"].items():
            yield f"compose: {name}", variable, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
    maps = {one["metadata"]["name"]: one for one in manifests() if one["kind"] == "ConfigMap"}
    for name, pod in pods().items():
        container = pod["containers"][0]
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                for variable, value in maps[source["configMapRef"]["name"]]["data"].items():
                    yield f"kubernetes: {name}", variable, value
        for one in container["env"]:
            yield f"kubernetes: {name}", one["name"], one.get("value", "given")
    for file, unit in units().items():
        text = (SYSTEMD / file).read_text()
        assert "Environment" in unit["Service"]
        for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE):
            for pair in line.replace("%l", "host").replace("%i", "8731").split():
                variable, _, value = pair.partition("=")
                yield f"systemd: {file}", variable, value
    for file in SYSTEMD.glob("*.env.example"):
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                variable, _, value = line.partition("=")
                yield file.name, variable, value


def processes():
    """The archfront settings of each process."""
    found: dict[str, dict[str, str]] = {}
    for place, variable, value in environments():
        if variable.startswith("ARCHFRONT_"):
            found.setdefault(place, {})[variable] = value
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_variable_named_is_a_setting(file):
    named = set(re.findall(r"\bARCHFRONT_[A-Z][A-Z_]*[A-Z]\b", file.read_text()))
    assert named <= SERVER | WORKER | CLIENT


@pytest.mark.parametrize(("place", "given"), processes().items(), ids=processes())
def test_every_process_starts_with_what_it_is_given(place, given, monkeypatch):
    is_worker = "worker" in place
    wrong = given.keys() - (WORKER | CLIENT if is_worker else SERVER)
    assert not wrong, f"{place} does not read {wrong}"
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    if is_worker:
        assert read_worker_settings()
    else:
        read_settings().check_bind()


def test_a_fleets_server_keeps_no_token_of_its_own():
    for place, given in processes().items():
        if place in (
            "compose: api",
            "kubernetes: archfront-api",
            "systemd: archfront-api@.service",
        ):
            assert given["ARCHFRONT_LOCAL_TOKEN"] == "false", place


def test_no_secret_is_in_an_address():
    for place, variable, value in environments():
        assert not re.search(r"://[^/@]*:[^/@]*@", value), f"{place}: {variable}"
