"""deploy/helm and deploy/kustomize, rendered by the real tools and held against Kubernetes' schemas."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from secretsvc.backends.vault import credentials
from tests.e2e.kubernetes import ROOT, check_restricted, check_schemas, check_scores, kustomized, one, parsed, run, tool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.kubernetes import Object

CHART = ROOT / "deploy" / "helm" / "ksecret"
TLS = {"tls": {"existingSecret": "ksecret-tls"}}
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
KEY = "aws:arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
FULL: dict[str, Any] = {
    "image": {"repository": "example/ksecret", "digest": f"sha256:{HASH}"},
    "imagePullSecrets": [{"name": "pull"}],
    "fullnameOverride": "vault-ish",
    "tls": {"existingSecret": "ksecret-tls", "clientCaSecret": "clients"},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/ksecret"}},
    "ageIdentitySecret": "age",
    "extraEnv": [{"name": "AWS_REGION", "value": "eu-west-1"}],
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
    "autoscaling": {"enabled": False},
    "replicas": 3,
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}], "egress": []},
    "serviceMonitor": {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "tokenSecret": {"name": "metrics"},
        "clientCertSecret": "prometheus",
    },
    "nodeSelector": {"disk": "none"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "config": {
        "tokens": [{"name": "ci", "sha256": HASH}],
        "rules": [
            {
                "callers": [{"token": "ci"}],
                "operations": ["encrypt"],
                "namespaces": ["*"],
                "names": ["*"],
                "keys": [KEY],
            }
        ],
        "limits": {"bodyBytes": 8388608},
        "page": True,
        "listen": {"workers": 2, "host": "10.0.0.1"},
    },
    "keyRules": {"version": 1, "rules": [{"keys": [KEY]}]},
}


PROMETHEUS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
SCRAPED = {"enabled": True, "tokenSecret": {"name": "ksecret-metrics"}, "from": PROMETHEUS}


@pytest.fixture(scope="module")
def helm() -> str:
    return tool("helm", "scripts/go-tools builds it where there is a Go")


def template(helm: str, folder: Path, values: dict[str, Any], namespace: str = "ns") -> list[Object]:
    path = folder / "values.yaml"
    path.write_text(json.dumps(values))
    words = (helm, "template", "rel", CHART, "--namespace", namespace, "--kube-version", "1.31.0", "--values", path)
    return parsed(run(*words).stdout)


def refused(helm: str, folder: Path, values: dict[str, Any]) -> str:
    with pytest.raises(AssertionError) as raised:
        template(helm, folder, values)
    return str(raised.value)


def pod_of(objects: list[Object]) -> Any:
    return one(objects, "Deployment")["spec"]["template"]["spec"]


def test_the_chart_is_without_fault(helm: str) -> None:
    run(helm, "lint", "--strict", CHART, "--set", "tls.behindProxy=true", "--kube-version", "1.31.0")


VAULT = {"address": "https://vault.vault.svc:8200", "role": "ksecret", "caSecret": "vault-ca"}


@pytest.mark.parametrize("values", [TLS, {"tls": {"behindProxy": True}}, FULL, TLS | {"vault": VAULT}])
def test_what_it_renders_is_what_kubernetes_takes(helm: str, tmp_path: Path, values: dict[str, Any]) -> None:
    objects = template(helm, tmp_path, values)
    check_schemas(objects)
    check_restricted(pod_of(objects))


def test_pods_log_in_to_vault_by_a_token_of_their_own(helm: str, tmp_path: Path) -> None:
    objects = template(helm, tmp_path, TLS | {"vault": VAULT | {"namespace": "team"}})
    pod = pod_of(objects)
    environ = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    token = environ["VAULT_ID_TOKEN_FILE"]
    mounts = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    (source,) = next(volume for volume in pod["volumes"] if volume["name"] == "vault")["projected"]["sources"]
    assert token == f"{mounts['vault']}/{source['serviceAccountToken']['path']}"
    assert source["serviceAccountToken"]["audience"] == "vault"
    assert pod["automountServiceAccountToken"] is False
    assert (environ["VAULT_ADDR"], environ["VAULT_NAMESPACE"]) == (VAULT["address"], "team")
    assert environ["VAULT_CACERT"].startswith(f"{mounts['vault-ca']}/")
    login = credentials.login(
        {name: text for name, text in environ.items() if text} | {"VAULT_ID_TOKEN": "x"}, "kubernetes"
    )
    assert login.path == "/v1/auth/kubernetes/login"
    assert credentials.method_of({"VAULT_AUTH_METHOD": environ["VAULT_AUTH_METHOD"] or ""}) == "kubernetes"
    ports = [port["port"] for rule in one(objects, "NetworkPolicy")["spec"]["egress"] for port in rule["ports"]]
    assert 8200 in ports
    assert "vault.role" in refused(helm, tmp_path, TLS | {"vault": {"address": "https://v:8200"}})


@pytest.mark.parametrize("cloud", ["", "eks", "gke"])
def test_kube_score_finds_nothing(helm: str, tmp_path: Path, cloud: str) -> None:
    for objects in (template(helm, tmp_path, TLS | {"cloud": cloud}), overlay(tmp_path, *([cloud] if cloud else []))):
        check_scores([found for found in objects if found["kind"] != "ConfigMap"])


def test_by_itself_it_brings_what_a_cluster_needs(helm: str, tmp_path: Path) -> None:
    objects = template(helm, tmp_path, TLS)
    kinds = ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget"]
    assert sorted(found["kind"] for found in objects) == [*kinds, "Service", "ServiceAccount"]
    (container,) = pod_of(objects)["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 8200, "health": 8201}
    assert "replicas" not in one(objects, "Deployment")["spec"]
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        one(objects, "Service")["spec"]["selector"],
        one(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()


def test_the_values_reach_their_places(helm: str, tmp_path: Path) -> None:
    objects = template(helm, tmp_path, FULL)
    pod = pod_of(objects)
    (container,) = pod["containers"]
    assert container["image"] == f"example/ksecret@sha256:{HASH}"
    assert container["env"] == [
        {"name": "KSECRET_SERVE_LISTEN_HEALTH_PORT", "value": "8201"},
        {"name": "KSECRET_AGE_KEY_FILE", "value": "/etc/ksecret-age/age.key"},
        {"name": "AWS_REGION", "value": "eu-west-1"},
    ]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):  # a kubelet has no client certificate
        assert container[probe]["httpGet"]["port"] == "health"
    assert one(objects, "Deployment")["spec"]["replicas"] == 3
    assert one(objects, "ServiceAccount")["metadata"]["annotations"] == FULL["serviceAccount"]["annotations"]
    policy = one(objects, "NetworkPolicy")["spec"]
    assert policy["ingress"][0]["from"] == FULL["networkPolicy"]["from"]
    assert len(policy["egress"]) == 1
    (endpoint,) = one(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["authorization"]["credentials"]["name"]) == ("https", "metrics")
    assert endpoint["tlsConfig"]["cert"]["secret"] == {"name": "prometheus", "key": "tls.crt"}
    assert not [found for found in objects if found["kind"] == "HorizontalPodAutoscaler"]


def test_the_configuration_listens_where_the_chart_says(helm: str, tmp_path: Path) -> None:
    data = one(template(helm, tmp_path, FULL), "ConfigMap")["data"]
    config = yaml.safe_load(data["config.yaml"])
    assert config["listen"] == {
        "host": "0.0.0.0",
        "port": 8200,
        "stopDelay": 5,
        "workers": 2,
        "tlsCert": "/etc/ksecret-tls/tls.crt",
        "tlsKey": "/etc/ksecret-tls/tls.key",
        "tlsClientCa": "/etc/ksecret-client-ca/ca.crt",
    }
    assert "bodyBytes: 8388608" in data["config.yaml"]
    assert config["rules"] == FULL["config"]["rules"]
    assert yaml.safe_load(data["key-rules.yaml"]) == FULL["keyRules"]


def test_a_pod_has_memory_for_the_bodies_that_it_takes(helm: str, tmp_path: Path) -> None:
    """On a cluster, bodies took six times their size beside 80 MB; a pod without this limit was OOMKilled."""
    objects = template(helm, tmp_path, TLS)
    limits = yaml.safe_load(one(objects, "ConfigMap")["data"]["config.yaml"])["limits"]
    memory = pod_of(objects)["containers"][0]["resources"]["limits"]["memory"]
    assert 80 * 2**20 + 6 * limits["bodiesBytes"] < int(memory.removesuffix("Mi")) * 2**20


def test_other_files_and_a_longer_stop(helm: str, tmp_path: Path) -> None:
    more = {"files": {"jwks.json": '{"keys": []}\n'}, "config": {"listen": {"stopDelay": 20}}}
    data = one(template(helm, tmp_path, TLS | more), "ConfigMap")["data"]
    assert data["jwks.json"] == more["files"]["jwks.json"]
    assert yaml.safe_load(data["config.yaml"])["listen"]["stopDelay"] == 20


@pytest.mark.skipif(not find_spec("secretsvc.api.settings_reader"), reason="the service is not in this tree")
@pytest.mark.parametrize("values", [{"tls": {"behindProxy": True}}, FULL])
def test_the_service_takes_the_configuration(helm: str, tmp_path: Path, values: dict[str, Any]) -> None:
    from secretsvc.api.settings_reader import load

    for name, text in one(template(helm, tmp_path, values), "ConfigMap")["data"].items():
        (tmp_path / name).write_text(text)
    assert load(str(tmp_path / "config.yaml"), {}, {}).listen.host == "0.0.0.0"


def test_a_changed_configuration_restarts_the_pods(helm: str, tmp_path: Path) -> None:
    def checksum(values: dict[str, Any]) -> str:
        spec = one(template(helm, tmp_path, values), "Deployment")["spec"]
        return str(spec["template"]["metadata"]["annotations"]["checksum/config"])

    assert checksum(TLS) == checksum(TLS) != checksum(TLS | {"config": {"limits": {"documents": 5}}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "tls.existingSecret is needed"),
        ({"tls": {"existingSecrets": "x"}}, "existingSecrets"),
        (TLS | {"config": {"tokens": [{"name": "ci", "sha256": "the token itself"}]}}, "sha256"),
        (TLS | {"serviceAccount": {"create": False}}, "serviceAccount.name is needed"),
        (TLS | {"replicas": "three"}, "replicas"),
        (TLS | {"files": {"config.yaml": "version: 1"}}, "files"),
        (TLS | {"cloud": "oci"}, "cloud"),
        (TLS | {"serviceMonitor": {"enabled": True, "from": PROMETHEUS}}, "tokenSecret.name"),
        (TLS | {"serviceMonitor": {"enabled": True, "tokenSecret": {"name": "metrics"}}}, "serviceMonitor.from"),
        (FULL | {"serviceMonitor": SCRAPED}, "serviceMonitor.clientCertSecret"),
    ],
)
def test_mistakes_in_values_are_told(helm: str, tmp_path: Path, values: dict[str, Any], said: str) -> None:
    assert said in refused(helm, tmp_path, values)


def test_every_value_is_in_the_schema_and_the_schema_says_no_more() -> None:
    """A key that only one of the two knows is either refused or does nothing."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(value: Any, known: Any, path: str) -> None:
        if isinstance(value, dict) and known.get("additionalProperties") is False:
            assert set(known["properties"]) - {"global"} == set(value), path
            for key, inner in value.items():
                compare(inner, known["properties"][key], f"{path}.{key}")

    compare(values, schema, "")


def test_the_kustomize_base_is_the_same_pod(helm: str, tmp_path: Path) -> None:
    base, chart = kustomized("deploy/kustomize/base"), template(helm, tmp_path, TLS)
    check_schemas(base)
    check_restricted(pod_of(base))
    assert sorted(found["kind"] for found in base) == sorted(found["kind"] for found in chart)
    ours, theirs = pod_of(base), pod_of(chart)
    for pod in (ours, theirs):
        pod["serviceAccountName"] = pod["volumes"][0]["configMap"]["name"] = "same"
        pod["topologySpreadConstraints"][0]["labelSelector"] = "same"
    assert ours == theirs
    for kind, parts in (
        ("HorizontalPodAutoscaler", ("minReplicas", "maxReplicas", "metrics")),
        ("PodDisruptionBudget", ("maxUnavailable", "unhealthyPodEvictionPolicy")),
        ("NetworkPolicy", ("policyTypes", "ingress", "egress")),
        ("Service", ("ports",)),
        ("Deployment", ("strategy",)),
    ):
        for part in parts:
            assert one(base, kind)["spec"].get(part) == one(chart, kind)["spec"].get(part), (kind, part)
    configs = [yaml.safe_load(one(found, "ConfigMap")["data"]["config.yaml"]) for found in (base, chart)]
    assert configs[0] == configs[1]


def test_pods_that_serve_nobody_keep_no_node_from_being_drained(helm: str, tmp_path: Path) -> None:
    budget = one(template(helm, tmp_path, TLS), "PodDisruptionBudget")["spec"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_pods_are_added_where_one_is_busy_and_not_before(helm: str, tmp_path: Path) -> None:
    """A core does some 700 small operations a second; 70 % of 100m were 40."""
    objects = template(helm, tmp_path, TLS)
    request = pod_of(objects)["containers"][0]["resources"]["requests"]["cpu"]
    (metric,) = one(objects, "HorizontalPodAutoscaler")["spec"]["metrics"]
    aim = int(request.removesuffix("m")) * metric["resource"]["target"]["averageUtilization"] / 100
    assert 250 < aim < 700


def overlay(folder: Path, *components: str) -> list[Object]:
    """What kustomize makes of the base in the namespace `ksecret`."""
    deploy = ROOT / "deploy" / "kustomize"
    words = {
        "resources": [relative(folder, deploy / "base")],
        "components": [relative(folder, deploy / "components" / name) for name in components],
        "namespace": "ksecret",
        "images": [{"name": "ksecret", "newName": "example/ksecret", "newTag": "9"}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(words))
    return kustomized(folder)


@pytest.mark.parametrize(
    ("cloud", "reached"),
    [
        ("", set()),
        ("eks", {("169.254.170.23/32", 80), ("fd00:ec2::23/128", 80)}),
        ("gke", {("169.254.169.254/32", 80), ("169.254.169.252/32", 988)}),
        ("aks", set()),
    ],
)
def test_a_nodes_own_credentials_are_out_of_reach(
    helm: str, tmp_path: Path, cloud: str, reached: set[tuple[str, int]]
) -> None:
    """On EKS the address that GKE's metadata server has hands out the node's role."""
    kustomize = overlay(tmp_path, *([cloud] if cloud else []))
    for objects in (template(helm, tmp_path, TLS | {"cloud": cloud}), kustomize):
        rules = one(objects, "NetworkPolicy")["spec"]["egress"]
        found = {
            (to["ipBlock"]["cidr"], port["port"])
            for rule in rules
            for to in rule.get("to", [])
            for port in rule["ports"]
        }
        assert found == reached
        assert {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]} == {53, 443}
        environ = pod_of(objects)["containers"][0].get("env", [])
        assert ({"name": "AWS_EC2_METADATA_DISABLED", "value": "true"} in environ) is (cloud == "eks")
        by_workload = {"name": "AZURE_TOKEN_CREDENTIALS", "value": "WorkloadIdentityCredential"} in environ
        assert by_workload == (cloud == "aks") == (pod_labels(objects).get("azure.workload.identity/use") == "true")


def test_prometheus_gets_in_and_knows_the_service_by_one_name(helm: str, tmp_path: Path) -> None:
    values = TLS | {"fullnameOverride": "ksecret", "serviceMonitor": SCRAPED}
    chart = template(helm, tmp_path, values, "ksecret")
    kustomize = overlay(tmp_path, "service-monitor")
    names = [
        one(found, "ServiceMonitor")["spec"]["endpoints"][0]["tlsConfig"]["serverName"] for found in (chart, kustomize)
    ]
    assert names == ["ksecret.ksecret.svc"] * 2
    for objects in (chart, kustomize):
        policies = [found["spec"] for found in objects if found["kind"] == "NetworkPolicy"]
        rules = [rule for policy in policies for rule in policy.get("ingress", [])]
        assert PROMETHEUS in [rule["from"] for rule in rules]
        selected = pod_labels(objects)
        assert all(policy["podSelector"]["matchLabels"].items() <= selected.items() for policy in policies)


def pod_labels(objects: list[Object]) -> dict[str, str]:
    found: dict[str, str] = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    return found


@pytest.mark.parametrize(
    ("component", "annotation"),
    [
        ("eks", "eks.amazonaws.com/role-arn"),
        ("gke", "iam.gke.io/gcp-service-account"),
        ("aks", "azure.workload.identity/client-id"),
    ],
)
def test_workload_identity_by_kustomize(tmp_path: Path, component: str, annotation: str) -> None:
    objects = overlay(tmp_path, component, "service-monitor")
    check_schemas(objects)
    assert annotation in one(objects, "ServiceAccount")["metadata"]["annotations"]
    assert pod_of(objects)["containers"][0]["image"] == "example/ksecret:9"
    assert one(objects, "ServiceMonitor")["spec"]["endpoints"][0]["path"] == "/metrics"
    service = one(objects, "Service")
    assert (
        service["metadata"]["labels"].items()
        >= one(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    )


def relative(folder: Path, target: Path) -> str:
    """Kustomize takes no absolute paths."""
    return os.path.relpath(target, folder.resolve())
