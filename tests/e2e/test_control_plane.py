"""What is for a cluster, on a real kube-apiserver: the chart, deploy/, sealed Secrets, and service accounts' tokens."""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode
from gzip import decompress as gunzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cli import CONFIG_MAP, MANIFEST, MARKS, PASSWORD, URL, USER, Person
from tests.e2e.control_plane import ISSUER, ControlPlane, started
from tests.e2e.kubernetes import ROOT, kustomized, run, tool
from tests.e2e.test_deploy_charts import FULL, TLS, relative, template
from tests.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.kubernetes import Object

PROGRAMS = os.environ.get("KSECRET_TEST_APISERVER", "")

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="scripts/control-plane builds an API server")

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "names": {"kind": "ServiceMonitor", "plural": "servicemonitors"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
STRINGS = b"apiVersion: v1\nkind: Secret\nmetadata: {name: strings, namespace: prod}\nstringData:\n  a: one\n  b: two\n"


def named(kind: str, name: str, labels: dict[str, str] | None = None, **more: Any) -> Object:
    group = "scheduling.k8s.io/v1" if kind == "PriorityClass" else "v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "labels": labels or {}}, **more}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    tool("kubectl", "install kubectl")
    with started(Path(PROGRAMS), tmp_path_factory.mktemp("plane")) as made:
        for found in (
            named("Namespace", "ksecret", RESTRICTED),
            named("Namespace", "prod"),
            named("PriorityClass", "high", value=1),
            CRD,
        ):
            given(made, "create", found)
        given(made, "create", named("ServiceAccount", "job"), "-n", "prod")
        words = ("--for=condition=Established", f"crd/{CRD['metadata']['name']}")
        run("kubectl", "--kubeconfig", made.kubeconfig, "wait", *words)
        yield made


def given(plane: ControlPlane, verb: str, found: Object, *words: str) -> None:
    """The server takes it, and has nothing to say against it."""
    done = run("kubectl", "--kubeconfig", plane.kubeconfig, verb, "-f", "-", *words, input=json.dumps(found))
    assert not done.stderr


def pods(objects: list[Object]) -> list[Object]:
    """A Pod as each template among the objects would have it: only Pods are held to the restricted standard."""
    specs = [found["spec"] for found in objects if found["kind"] in ("Deployment", "CronJob", "Job")]
    templates = [spec.get("jobTemplate", {}).get("spec", spec)["template"] for spec in specs]
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**found.get("metadata", {}), "generateName": "try-"},
            "spec": found["spec"],
        }
        for found in templates
    ]


def taken(plane: ControlPlane, objects: list[Object]) -> None:
    """All is applied, pods are admitted, and all is gone again."""
    for found in objects:
        given(plane, "apply", found, "--server-side", "--validate=strict", "-n", "ksecret")
    for pod in pods(objects):
        given(plane, "create", pod, "--dry-run=server", "--validate=strict", "-n", "ksecret")
    for found in objects:
        given(plane, "delete", found, "-n", "ksecret", "--wait=false")


@pytest.mark.parametrize(
    "values",
    [TLS, {"tls": {"behindProxy": True}}, FULL, FULL | {"autoscaling": {"enabled": True}}],
    ids=["tls", "proxy", "full", "scaled"],
)
def test_the_chart_is_taken(plane: ControlPlane, tmp_path: Path, values: dict[str, Any]) -> None:
    helm = tool("helm", "scripts/go-tools builds it where there is a Go")
    objects = template(helm, tmp_path, values)
    for found in objects:
        found["metadata"]["namespace"] = "ksecret"
    taken(plane, objects)


def test_helm_installs_what_is_sealed_and_keeps_it_in_the_clear(plane: ControlPlane, tmp_path: Path) -> None:
    """The post-renderer of docs/helm.md, and what that page says of the release's own Secret."""
    helm = tool("helm", "scripts/go-tools builds it where there is a Go")
    me = Person(tmp_path)
    me.write("chart/Chart.yaml", b"apiVersion: v2\nname: app\nversion: 0.1.0\n")
    me.write_sealed("chart/templates/db.yaml", MANIFEST.replace(b"name: db", b"name: by-helm"))
    place = ("--kubeconfig", str(plane.kubeconfig), "--namespace", "prod")
    assert "illegal base64" in me.run("install", "sealed", "chart", *place, program=helm).err
    words = ("--post-renderer", "ksecret", "--post-renderer-args", "render", "--post-renderer-args", "-")
    me.ok("install", "app", "chart", *place, *words, program=helm)
    kept, installed = (
        json.loads(run("kubectl", *place, "get", "secret", name, "-o", "json").stdout)["data"]
        for name in ("sh.helm.release.v1.app.v1", "by-helm")
    )
    assert {name: b64decode(value).decode() for name, value in installed.items()} == {
        "username": USER,
        "password": PASSWORD,
        "url": URL,
    }
    assert installed["password"] in gunzip(b64decode(b64decode(kept["release"]))).decode()


@pytest.mark.parametrize("components", [[], ["eks", "service-monitor"], ["gke", "service-monitor"]])
def test_what_kustomize_makes_is_taken(plane: ControlPlane, tmp_path: Path, components: list[str]) -> None:
    folder = ROOT / "deploy" / "kustomize"
    words = {
        "resources": [relative(tmp_path, folder / "base")],
        "components": [relative(tmp_path, folder / "components" / name) for name in components],
        "namespace": "ksecret",
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(words))
    taken(plane, kustomized(tmp_path))


def test_the_rotation_is_taken(plane: ControlPlane) -> None:
    job = yaml.safe_load((ROOT / "deploy" / "rotate" / "indexed-job.yaml").read_text())
    objects = kustomized("deploy/rotate")
    given(plane, "create", job, "--dry-run=server", "--validate=strict", "-n", "ksecret")
    taken(plane, [*objects, job | {"metadata": {"name": "all-at-once"}}])


def test_a_pod_that_may_more_is_refused(plane: ControlPlane) -> None:
    (pod,) = pods(kustomized("deploy/rotate"))
    pod["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    pod["spec"].pop("serviceAccountName")
    given(plane, "apply", named("ServiceAccount", "default"), "--server-side", "-n", "ksecret")
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        given(plane, "create", pod, "--dry-run=server", "-n", "ksecret")


@pytest.fixture
def me(plane: ControlPlane, tmp_path: Path) -> Person:
    """Somebody who is the cluster's administrator, too."""
    person = Person(tmp_path)
    person.environ["KUBECONFIG"] = str(plane.kubeconfig)
    return person


def stored_values(me: Person, name: str) -> dict[str, bytes]:
    found = json.loads(me.ok("get", "secret", name, "-n", "prod", "-o", "json", program="kubectl").out)
    return {key: b64decode(text) for key, text in found["data"].items()}


def stored(me: Person, name: str) -> dict[str, bytes]:
    found = json.loads(me.ok("get", "secret", name, "-n", "prod", "-o", "json", program="kubectl").out)
    assert "kubectl.kubernetes.io/last-applied-configuration" not in found["metadata"].get("annotations", {})
    return {key: b64decode(text) for key, text in found["data"].items()}


@pytest.mark.parametrize("validate", ["strict", "warn", "ignore"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
@pytest.mark.parametrize(
    ("manifest", "words", "refused"),
    [
        (MANIFEST, ["--server-side"], {"strict", "warn", "ignore"}),
        (STRINGS, ["--server-side"], {"strict", "warn", "ignore"}),
        (MANIFEST, [], {"strict", "warn", "ignore"}),
        (STRINGS, [], {"strict"}),
    ],
    ids=["data-server", "strings-server", "data-client", "strings-client"],
)
def test_a_sealed_secret_is_no_secret_to_the_server(
    me: Person, there: bool, validate: str, manifest: bytes, words: list[str], refused: set[str]
) -> None:
    me.run("delete", "secret", "-n", "prod", "--all", program="kubectl")
    if there:
        me.ok("apply", "-f", "-", program="kubectl", stdin=manifest)
    me.write_sealed("a.yaml", manifest)
    ran = me.run("apply", *words, f"--validate={validate}", "-f", "a.yaml", program="kubectl")
    assert (ran.code == 0) == (validate not in refused), ran.err


def test_apply_gives_the_server_what_was_sealed(me: Person) -> None:
    me.ok("delete", "secret", "--all", "-n", "prod", program="kubectl")
    me.write_sealed("d/a.yaml")
    me.write("d/map.yaml", CONFIG_MAP)
    me.write_sealed("d/b.yaml", STRINGS)
    for _ in range(2):
        ran = me.ok("apply", "-r", "d", "--", "--namespace=prod", "--context=here")
        assert ran.out.count(b"serverside-applied") == 3
        assert not ran.err
    clear = {"username": USER.encode(), "password": PASSWORD.encode(), "url": URL.encode()}
    assert stored(me, "db") == clear
    opened = me.ok("decrypt", "d/a.yaml").out
    me.ok("apply", "--server-side", "-f", "-", program="kubectl", stdin=opened)
    me.ok("diff", "--server-side", "-f", "-", program="kubectl", stdin=opened)
    assert stored(me, "db") == clear
    me.ok("set", "d/a.yaml", "url=other")
    me.ok("apply", "d/a.yaml")
    assert stored(me, "db") == clear | {"url": b"other"}


def test_an_entry_that_is_taken_away_is_gone_from_the_cluster(me: Person) -> None:
    """docs/ci.md says so: by kubectl's own apply, what came as stringData would stay."""
    me.write_sealed("a.yaml")
    me.ok("apply", "a.yaml")
    for key in ("password", "url"):
        me.ok("unset", "a.yaml", key)
    me.ok("apply", "a.yaml")
    assert set(stored(me, "db")) == {"username"}


def test_values_that_kubectl_applied_on_its_own_side_conflict_until_they_are_taken_over(me: Person) -> None:
    me.ok("delete", "secret", "--all", "-n", "prod", program="kubectl")
    me.write("clear.yaml", STRINGS)
    me.ok("apply", "-f", "clear.yaml", program="kubectl")
    me.write_sealed("a.yaml", STRINGS.replace(b"one", b"another"))
    assert 'conflict with "kubectl-client-side-apply"' in me.run("apply", "a.yaml").err
    me.ok("apply", "a.yaml", "--", "--force-conflicts")
    me.ok("set", "a.yaml", "a=third")
    me.ok("apply", "a.yaml")
    assert stored_values(me, "strings") == {"a": b"third", "b": b"two"}


def test_what_kubectl_applied_as_stringdata_is_taken_over(me: Person) -> None:
    sealed = me.write_sealed("a.yaml")
    me.ok("apply", "--server-side", "-f", "-", program="kubectl", stdin=me.ok("decrypt", str(sealed)).out)
    me.ok("apply", "a.yaml")
    me.ok("unset", "a.yaml", "url")
    me.ok("apply", "a.yaml")
    assert set(stored(me, "db")) == {"username", "password"}


def test_what_create_makes_is_taken(me: Person) -> None:
    made = me.ok("create", "generic", "made", "-n", "prod", "--random", "password=32", "-k", me.ref).out
    me.ok("apply", "-", stdin=made)
    assert len(stored(me, "made")["password"]) == 32
    login = ("--docker-username=u", "--docker-password=p", "--plaintext")
    made = me.ok("create", "docker-registry", "login", "-n", "prod", *login).out
    me.ok("apply", "--server-side", "-f", "-", program="kubectl", stdin=made)
    assert b'"username":"u"' in stored(me, "login")[".dockerconfigjson"]


def account_token(plane: ControlPlane, audience: str) -> str:
    words = ("create", "token", "job", "-n", "prod", f"--audience={audience}")
    return run("kubectl", "--kubeconfig", plane.kubeconfig, *words).stdout.strip()


def knows_the_cluster(folder: Path, **keys: str) -> Service:
    service = Service(folder)
    service.config["issuers"] = [{"name": "cluster", "issuer": ISSUER, "audience": "ksecret", **keys}]
    claims = {"kubernetes.io.namespace": "prod", "sub": "system:serviceaccount:prod:*"}
    rule = {"operations": ["encrypt"], "namespaces": ["prod"], "names": ["*"], "keys": ["*"]}
    service.config["rules"] += [{"callers": [{"issuer": "cluster", "claims": claims}], **rule}]
    return service


def test_service_accounts_are_known_by_a_jwks_file(plane: ControlPlane, tmp_path: Path) -> None:
    keys = run("kubectl", "--kubeconfig", plane.kubeconfig, "get", "--raw", "/openid/v1/jwks").stdout
    (tmp_path / "cluster-jwks.json").write_text(keys)
    with knows_the_cluster(tmp_path, jwksFile="cluster-jwks.json") as service:
        token = account_token(plane, "ksecret")
        assert service.post("/v1/encrypt", MANIFEST, token).status == 200
        caller = {"issuer": "cluster", "subject": "system:serviceaccount:prod:job"}
        assert service.audited()[-1]["caller"] == caller
        assert service.post("/v1/decrypt", MANIFEST, token).problem == "forbidden"
        assert service.post("/v1/encrypt", MANIFEST, account_token(plane, "other")).status == 401
        service.config["rules"][-1]["callers"][0]["claims"]["kubernetes.io.namespace"] = "other"
        service.stop()
        service.start()
        assert service.post("/v1/encrypt", MANIFEST, token).problem == "forbidden"


def test_service_accounts_are_known_by_a_jwks_url(plane: ControlPlane, tmp_path: Path) -> None:
    binding = ("--clusterrole=system:service-account-issuer-discovery", "--group=system:unauthenticated")
    run("kubectl", "--kubeconfig", plane.kubeconfig, "create", "clusterrolebinding", "keys", *binding)
    url = f"{plane.url}/openid/v1/jwks"
    with knows_the_cluster(tmp_path, jwksUrl=url, caFile=str(plane.authority)) as service:
        assert service.post("/v1/encrypt", MANIFEST, account_token(plane, "ksecret")).status == 200


MARKED = b"metadata: {labels: {a: b}, annotations: {c: d}, name: by-apply"
FIXED = b"apiVersion: v1\nkind: Secret\nmetadata: {name: fixed, namespace: prod}\nimmutable: true\ndata: {raw: //79}\n"
MADE = (STRINGS.replace(b"metadata: {name: strings", MARKED), FIXED)


def as_shown(me: Person) -> list[Object]:
    """The namespace's Secrets, but for who set what, and for the copy that kubectl keeps of what it was given."""
    shown = me.ok("get", "secrets", "-n", "live", "-o", "json", program="kubectl").out
    found: list[Object] = json.loads(shown)["items"]
    for one in found:
        del one["metadata"]["resourceVersion"]
        one["metadata"].get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return found


def test_a_namespace_that_was_imported_is_applied_and_nothing_changes(me: Person) -> None:
    me.ok("create", "namespace", "live", program="kubectl")
    place = ("-n", "live")
    me.ok("create", "secret", "generic", "by-create", "--from-literal=a=b", *place, program="kubectl")
    login = ("--docker-username=u", "--docker-password=p", "--docker-server=registry.example")
    me.ok("create", "secret", "docker-registry", "login", *login, *place, program="kubectl")
    for text in MADE:
        me.ok("apply", "-f", "-", program="kubectl", stdin=text.replace(b"prod", b"live"))
    before = as_shown(me)
    me.ok("import", "-r", *place, "-o", "deploy")
    assert me.names() == [f"deploy/{name}.yaml" for name in ("by-apply", "by-create", "fixed", "login")]
    me.ok("apply", "-r", "deploy")
    assert as_shown(me) == before
    for name in ("by-apply", "fixed"):
        piped = me.ok("get", "secret", name, *place, "-o", "yaml", program="kubectl").out
        me.ok("apply", "-", stdin=me.ok("import", "-", stdin=piped).out)
    assert as_shown(me) == before


def test_what_apply_would_change_is_told_and_no_value(me: Person) -> None:
    me.ok("create", "namespace", "drift", program="kubectl")
    text = MANIFEST.replace(b"prod", b"drift")
    me.ok("apply", "-f", "-", program="kubectl", stdin=text)  # leaves a copy of the values in an annotation
    me.write_sealed("d/a.yaml", text)
    me.write("d/map.yaml", CONFIG_MAP.replace(b"name: plain", b"name: plain\n  namespace: drift"))
    new = me.run("diff", "-r", "d")
    assert new.code == 1
    assert new.out.startswith(b"--- LIVE/v1.ConfigMap.drift.plain\n")
    assert b"Secret" not in new.out
    me.ok("apply", "-r", "d", "--", "--force-conflicts")
    assert me.ok("diff", "-r", "d") == (0, b"", "")
    assert me.ok("drift", "d").err == "ksecret: 2 same, 0 differ, 0 missing\n"
    patch = json.dumps({"metadata": {"labels": {"by": "hand"}}, "stringData": {"url": "by-hand", "more": URL}})
    me.ok("patch", "secret", "db", "-n", "drift", "-p", patch, program="kubectl")
    found = me.run("diff", "-r", "d")
    assert found.code == 1
    assert not [mark for mark in MARKS if mark.encode() in found.out]
    marks = dict(re.findall(r"(?m)^([ +-] {2}\w+): (<[0-9a-f]{12}>)$", found.out.decode()))
    assert set(marks) == {"   more", "   password", "-  url", "+  url", "   username"}
    assert marks["+  url"] == marks["   more"] != marks["-  url"]
    assert f'-  url: "by-hand"\n+  url: "{URL}"\n' in me.run("diff", "--show", "d/a.yaml").out.decode()
    told = me.run("drift", "d")
    assert (told.code, told.out) == (1, b"d/a.yaml: Secret drift/db: url differs\n")
    me.ok("delete", "secret", "db", "-n", "drift", program="kubectl")
    assert me.run("drift", "d").out == b"d/a.yaml: Secret drift/db: not in the cluster\n"
    assert "kubectl diff failed" in me.run("diff", "-r", "d", "--", "--context=none").err
