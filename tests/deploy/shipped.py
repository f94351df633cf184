"""What deploy/ says, read the way that Docker, Kubernetes and systemd read it."""

import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
KUBERNETES = DEPLOY / "kubernetes"
SYSTEMD = DEPLOY / "systemd"
TAUGHT = re.compile(
    r"(?:(?:\w+=\S+ )*(?:\S+ .*-- |/opt/archfront/bin/)?archfront |docker compose run --rm api )"
    r"([a-z][^|>#;&]*)"
)
"""A line that runs the command line: by itself, in a pod, or in a container."""
HANDBOOKS = (ROOT / "docs" / "operate.md", *sorted(DEPLOY.rglob("README.md")))


def compose_services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def published_addresses() -> set[str]:
    """Where the compose file's API processes are reached from this machine."""
    (published,) = compose_services()["api"]["ports"]
    host, ports, _ = published.split(":")
    first, last = map(int, ports.split("-"))
    return {f"{host}:{port}" for port in range(first, last + 1)}


def manifests() -> list[dict[str, Any]]:
    files = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    return [
        manifest
        for file in files
        for manifest in yaml.safe_load_all((KUBERNETES / file).read_text())
    ]


def pods() -> dict[str, dict[str, Any]]:
    """The pods' specifications, by the name of what makes them."""
    return {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]
        for manifest in manifests()
        if "template" in manifest.get("spec", {})
    }


def dockerfile_stages() -> dict[str, list[dict[str, str]]]:
    """The instructions of each stage, by its name."""
    stages: dict[str, list[dict[str, str]]] = {}
    parser = DockerfileParser(str(DOCKERFILE), cache_content=True)
    for instruction in parser.structure:
        if instruction["instruction"] == "FROM":
            name = instruction["value"].split(" AS ")[1]
            stages[name] = []
        if instruction["instruction"] != "COMMENT":
            stages[name].append(instruction)
    return stages


def units() -> dict[str, configparser.ConfigParser]:
    """The units, by file name; the last of several equal keys is kept."""
    read = {}
    for file in sorted(SYSTEMD.glob("*.service")):
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(file)
        read[file.name] = unit
    return read


def archfront_commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line after `archfront` that is shipped or taught, and where it stands."""
    for name, service in compose_services().items():
        if str(service["image"]).startswith("archfront/"):
            yield f"compose: {name}", service["command"]
    for name, pod in pods().items():
        yield f"kubernetes: {name}", pod["containers"][0]["args"]
    for stage, instructions in dockerfile_stages().items():
        for one in instructions:
            if one["instruction"] == "CMD":
                yield f"Dockerfile: {stage}", yaml.safe_load(one["value"])
    for file, unit in units().items():
        program, *words = unit["Service"]["ExecStart"].replace("%i", "8731").split()
        assert program == "/opt/archfront/bin/archfront"
        yield f"systemd: {file}", words
    for handbook in HANDBOOKS:
        for line in re.findall(r"^ {4}(.*)$", handbook.read_text(), re.MULTILINE):
            if taught := TAUGHT.match(line.strip()):
                yield f"{handbook.relative_to(ROOT)}: {line}", shlex.split(taught[1])
