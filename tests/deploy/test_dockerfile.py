"""The Dockerfile: who runs, from what, and that all it copies is there."""

import fnmatch
import tomllib

import pytest

from tests.deploy.shipped import DEPLOY, DOCKERFILE, ROOT, compose_services, dockerfile_stages, pods

STAGES = dockerfile_stages()
IMAGES = ("server", "worker")
IGNORED = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()


def values(stage, instruction):
    return [one["value"] for one in STAGES[stage] if one["instruction"] == instruction]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_numbered_user_that_is_not_root(image):
    # By number: Kubernetes cannot tell otherwise that a name is not root's.
    (user,) = values(image, "USER")
    uid, gid = map(int, user.split(":"))
    assert uid >= 10_000
    assert gid >= 10_000
    assert STAGES[image][-1]["instruction"] == "CMD"
    created = " ".join(values("base", "RUN"))
    assert f"--uid {uid} " in created
    assert f"--gid {gid} " in created
    for pod in pods().values():
        assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (
            uid,
            gid,
        )


@pytest.mark.parametrize("stage", [name for name in STAGES if name.startswith("build")])
def test_what_is_copied_into_a_build_is_there_and_not_ignored(stage):
    for value in values(stage, "COPY"):
        for source in value.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source.removeprefix('./')}" in IGNORED, source
    assert IGNORED[1] == "*"


def test_nothing_else_travels_to_the_builder():
    copied = {source for value in values("build", "COPY") for source in value.split()[:-1]}
    let_in = {line[1:] for line in IGNORED if line.startswith("!")}
    assert let_in == {source.removeprefix("./") for source in copied}
    assert fnmatch.fnmatch("service/__pycache__", IGNORED[-1])


def test_all_packages_are_installed_as_the_tests_passed_with():
    installs = [
        value for stage in STAGES for value in values(stage, "RUN") if "pip install" in value
    ]
    assert len(installs) == 3
    assert all("--constraint constraints.txt" in value for value in installs)
    assert "service" not in " ".join(values("build", "RUN"))


def test_the_extras_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    assert {"server", "s3"} <= extras
    assert "'.[server,s3]'" in values("build-server", "RUN")[0]
    (default,) = values("build-worker", "ARG")
    assert set(default.removeprefix("EXTRAS=").split(",")) <= extras


def test_the_packages_that_the_project_ships_are_all_in_the_image():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    needed = {*wheel["targets"]["wheel"]["packages"], *wheel["targets"]["wheel"]["force-include"]}
    copied = {source for value in values("build", "COPY") for source in value.split()[:-1]}
    assert needed <= copied


def test_whoever_names_an_image_names_one_that_is_built():
    named = {service["image"] for service in compose_services().values()}
    named |= {pod["containers"][0]["image"] for pod in pods().values()}
    assert {image for image in named if "/" in image} == {f"archfront/{one}" for one in IMAGES}
    for service in compose_services().values():
        if "build" in service:
            build = service["build"]
            assert build["target"] == service["image"].removeprefix("archfront/")
            context = (DEPLOY / "compose" / build["context"]).resolve()
            assert context == ROOT
            assert (context / build["dockerfile"]) == DOCKERFILE
