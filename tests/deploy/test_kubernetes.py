"""The manifests: that they fit each other, and what a pod may do."""

import pytest
import yaml

from service.settings import DEFAULT_PORT, SettingsInvalid, read_settings
from tests.deploy.shipped import DEPLOY, KUBERNETES, manifests, pods

PODS = pods()


def test_every_manifest_is_applied():
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert {*listed, "kustomization.yaml"} == {file.name for file in KUBERNETES.glob("*.yaml")}


@pytest.mark.parametrize(("name", "pod"), PODS.items(), ids=PODS)
def test_a_pod_has_no_rights_that_it_does_not_need(name, pod):
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    "made_by",
    [one for one in manifests() if "template" in one.get("spec", {})],
    ids=lambda one: one["metadata"]["name"],
)
def test_what_makes_a_pod_selects_it_and_mounts_what_it_has(made_by):
    spec = made_by["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    pod = spec["template"]["spec"]
    volumes = {one["name"] for one in pod["volumes"]}
    volumes |= {one["metadata"]["name"] for one in spec.get("volumeClaimTemplates", [])}
    assert {one["name"] for one in pod["containers"][0]["volumeMounts"]} == volumes


def test_no_service_puts_variables_into_a_pod_that_a_server_would_refuse(monkeypatch):
    monkeypatch.setenv("ARCHFRONT_API_PORT", "tcp://10.0.0.1:8731")  # what a link would set
    with pytest.raises(SettingsInvalid, match="ARCHFRONT_API_PORT"):
        read_settings()
    assert all(pod["enableServiceLinks"] is False for pod in PODS.values())


def test_services_and_budgets_select_pods_that_exist():
    labels = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in manifests()
        if "template" in one.get("spec", {})
    ]
    for one in manifests():
        if one["kind"] in ("Service", "PodDisruptionBudget"):
            selector = one["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            assert any(selector.items() <= each.items() for each in labels), one["metadata"]


def test_no_older_release_serves_a_database_that_a_newer_one_migrates():
    for one in manifests():
        if one["kind"] == "Deployment":
            assert one["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(("name", "pod"), PODS.items(), ids=PODS)
def test_probes_ask_at_a_port_that_is_listened_at(name, pod):
    (container,) = pod["containers"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    ports = {one["name"]: one["containerPort"] for one in container.get("ports", [])}
    listened = environment.get("ARCHFRONT_WORKER_HEALTH_PORT", DEFAULT_PORT)
    probes = [container[key]["httpGet"] for key in container if key.endswith("Probe")]
    assert bool(probes) == (name != "archfront-suggester")  # which listens nowhere
    for probe in probes:
        assert probe["path"] in ("/healthz", "/readyz")
        assert ports[probe["port"]] == int(listened)
    if probes:
        host = environment.get("ARCHFRONT_WORKER_HEALTH_HOST", environment.get("ARCHFRONT_HOST"))
        assert host == "0.0.0.0"


def test_workers_find_the_api():
    (service,) = (
        one
        for one in manifests()
        if (one["kind"], one["metadata"]["name"]) == ("Service", "archfront-api")
    )
    environment = PODS["archfront-worker"]["containers"][0]["env"]
    (url,) = (one["value"] for one in environment if one["name"] == "ARCHFRONT_URL")
    assert url == f"http://archfront-api:{service['spec']['ports'][0]['port']}"


def test_a_worker_outlasts_its_drain():
    pod = PODS["archfront-worker"]
    environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    drain_s = float(environment["ARCHFRONT_WORKER_DRAIN_S"])
    assert pod["terminationGracePeriodSeconds"] > drain_s


def test_the_handbook_makes_every_secret_that_a_pod_wants():
    handbook = (DEPLOY / "kubernetes" / "README.md").read_text()
    wanted = set()
    for pod in PODS.values():
        (container,) = pod["containers"]
        wanted |= {
            one["valueFrom"]["secretKeyRef"]["name"]
            for one in container["env"]
            if "secretKeyRef" in one.get("valueFrom", {})
        }
        wanted |= {
            one["secretRef"]["name"] for one in container.get("envFrom", []) if "secretRef" in one
        }
    assert wanted == {"archfront-postgres", "archfront-s3", "archfront-worker"}
    for name in wanted:
        assert f"create secret generic {name}" in handbook
