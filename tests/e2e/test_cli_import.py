"""`ksecret import`: Secrets that a cluster has, sealed at once, without what the cluster and its tools added."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from secretsvc.cli.main import main
from secretsvc.errors import InputError
from secretsvc.operations.live_secrets import live_secrets
from tests.e2e.cli import MARK, PASSWORD, Person, b64, is_sealed, key_refs, member

if TYPE_CHECKING:
    from pathlib import Path

STUB = """\
#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done > "$OUT/argv"
cat "$OUT/objects"
exit "${CODE:-0}"
"""
ADDED: dict[str, Any] = {
    "creationTimestamp": "2026-01-02T03:04:05Z",
    "managedFields": [{"apiVersion": "v1", "fieldsV1": {"f:data": {".": {}, "f:a": {}}}, "manager": "kubectl"}],
    "resourceVersion": "4711",
    "uid": "6b1d5e0c-0000-4000-8000-000000000000",
}
LAST = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"a": b64(PASSWORD)}})}
"""What the server and client-side apply put beside what somebody wrote."""


def live(name: str = "db", data: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A Secret as the API server has it; `metadata` among `more` comes on top of that."""
    metadata = {"name": name, "namespace": "prod", **ADDED, **more.pop("metadata", {})}
    data = {"password": b64(PASSWORD)} if data is None else data
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data, "metadata": metadata, **more}


def listed(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects), "metadata": {"resourceVersion": ""}}


class Cluster:
    """A program in kubectl's place, and what it prints."""

    def __init__(self, folder: Path, me: Person) -> None:
        self._folder = folder / "kubectl"
        self._folder.mkdir()
        (self._folder / "kubectl").write_text(STUB)
        (self._folder / "kubectl").chmod(0o755)
        me.environ |= {"OUT": str(self._folder), "PATH": os.pathsep.join((str(self._folder), me.environ["PATH"]))}

    def has(self, *objects: dict[str, Any]) -> None:
        (self._folder / "objects").write_text(json.dumps(objects[0] if len(objects) == 1 else listed(*objects)))

    @property
    def words(self) -> list[str]:
        return (self._folder / "argv").read_text().splitlines()


@pytest.fixture
def cluster(tmp_path: Path, me: Person) -> Cluster:
    return Cluster(tmp_path, me)


def opened(me: Person, sealed: bytes) -> dict[str, Any]:
    assert is_sealed(b"\n" + sealed)
    found: dict[str, Any] = yaml.safe_load(me.ok("decrypt", "-", stdin=sealed).out)
    return found


def test_one_secret_comes_as_somebody_wrote_it(me: Person, cluster: Cluster) -> None:
    kept = {"labels": {"app": "web"}, "annotations": {"team": "shop"}}
    labels = {"app": "web", "kustomize.toolkit.fluxcd.io/name": "apps", "kapp.k14s.io/app": "1"}
    annotations = {**LAST, "team": "shop", "argocd.argoproj.io/tracking-id": "a:b"}
    raw = b64(b"\xff\0" + MARK.encode())
    cluster.has(
        live(data={"raw": raw, "empty": ""}, metadata={"labels": labels, "annotations": annotations}, immutable=True)
    )
    words = ["-n", "prod", "--context", "blue", "-o", "db.yaml", "--", "--request-timeout=9s"]
    assert me.ok("import", "secret/db", *words).err == ""
    where = ["--namespace=prod", "--context=blue", "--request-timeout=9s"]
    assert cluster.words == ["get", "secrets", "db", *where, "-o", "json"]
    assert opened(me, (me.work / "db.yaml").read_bytes()) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "data": {"raw": raw, "empty": ""},
        "metadata": {"name": "db", "namespace": "prod", **kept},
    }
    assert me.names() == ["db.yaml"]


def test_what_kubectl_printed_is_taken_from_a_pipe(me: Person) -> None:
    for whole in (live(), listed(live()), {**listed(live()), "kind": "SecretList"}):
        for text in (yaml.safe_dump(whole), json.dumps(whole, indent=4)):
            sealed = me.ok("import", "-", stdin=text.encode()).out
            assert opened(me, sealed)["data"] == {"password": b64(PASSWORD)}
    both = me.ok("import", "-", stdin=yaml.safe_dump(listed(listed(live()), live("two"))).encode()).out
    assert [one["metadata"]["name"] for one in yaml.safe_load_all(both)] == ["db", "two"]


def test_a_namespace_becomes_a_file_for_each_by_the_policys_keys(me: Person, cluster: Cluster, tmp_path: Path) -> None:
    friend = Person(tmp_path, "friend")
    me.write(
        ".ksecret.yaml",
        f"version: 1\nrules: [{{path: deploy/two.yaml, keys: ['{friend.ref}']}}, {{keys: ['{me.ref}']}}]\n".encode(),
    )
    cluster.has(live(), live("two"), live("none", data={}))
    ran = me.ok("import", "-r", "-n", "prod", "-o", "deploy")
    assert cluster.words == ["get", "secrets", "--namespace=prod", "-o", "json"]
    assert me.names() == [".ksecret.yaml", "deploy/db.yaml", "deploy/none.yaml", "deploy/two.yaml"]
    assert "prod/none: it holds no value" in ran.err
    assert ran.err.endswith("ksecret: 3 imported, 0 failed\n")
    assert friend.ref in (me.work / "deploy/two.yaml").read_text()
    assert opened(me, (me.work / "deploy/db.yaml").read_bytes())
    again = me.run("import", "-r", "-n", "prod", "-o", "deploy")
    assert (again.code, again.err.count("there is such a file already")) == (7, 3)
    me.ok("import", "-r", "-f", "-n", "prod", "-o", "deploy")


def test_what_is_imported_again_keeps_unchanged_tokens(me: Person, cluster: Cluster, tmp_path: Path) -> None:
    cluster.has(live(data={"a": b64(PASSWORD), "b": b64(f"b {MARK}")}))
    me.ok("import", "-r", "-o", "d")
    before = (me.work / "d/db.yaml").read_text()
    me.ok("import", "-r", "-f", "-o", "d")
    assert (me.work / "d/db.yaml").read_text() == before
    cluster.has(live(data={"a": b64(PASSWORD), "b": b64(f"other {MARK}")}))
    me.ok("import", "secret/db", "-f", "-o", "d/db.yaml")
    after = (me.work / "d/db.yaml").read_text()
    assert [member(text.encode(), "a") for text in (before, after)] == [member(before.encode(), "a")] * 2
    assert member(before.encode(), "b") != member(after.encode(), "b")
    stranger = Person(tmp_path, "stranger")
    stranger.environ |= {name: me.environ[name] for name in ("OUT", "PATH")}
    stranger.ok("import", "secret/db", "-f", "-o", "d/db.yaml")
    assert key_refs((me.work / "d/db.yaml").read_bytes()) == [stranger.ref]


def test_several_namespaces_get_a_folder_each(me: Person) -> None:
    whole = listed(live(), live(metadata={"namespace": "dev"}))
    me.ok("import", "-r", "-o", "deploy", "-", stdin=json.dumps(whole).encode())
    assert me.names() == ["deploy/dev/db.yaml", "deploy/prod/db.yaml"]


def test_one_that_comes_twice_is_told_and_not_overwritten(me: Person) -> None:
    two = listed(live(), live(data={"other": b64(PASSWORD)}), live("b"))
    ran = me.run("import", "-r", "-f", "-j", "2", "-o", "d", "-", stdin=json.dumps(two).encode())
    assert (ran.code, me.names()) == (3, ["d/b.yaml", "d/db.yaml"])
    assert "d/db.yaml: prod/db comes twice" in ran.err
    assert opened(me, (me.work / "d/db.yaml").read_bytes())["data"] == {"password": b64(PASSWORD)}


def owned(kind: str) -> dict[str, Any]:
    return {"ownerReferences": [{"apiVersion": "x/v1", "kind": kind, "name": "o", "uid": "1-2", "controller": True}]}


def test_what_belongs_to_the_cluster_is_left_and_told(me: Person, cluster: Cluster) -> None:
    cluster.has(
        live("token", type="kubernetes.io/service-account-token"),
        *(live(f"sh.helm.release.v1.app.v{number}", type="helm.sh/release.v1") for number in range(5)),
        live("bootstrap-token-abcdef", type="bootstrap.kubernetes.io/token"),
        live("web-tls", type="kubernetes.io/tls", metadata=owned("Certificate")),
        live("going", metadata={"deletionTimestamp": "2026-01-02T03:04:05Z"}),
        live(
            "was-sealed",
            metadata=owned("SealedSecret") | {"annotations": {"sealedsecrets.bitnami.com/managed": "true"}},
        ),
    )
    told = me.ok("import", "-r", "-o", ".").err
    assert me.names() == ["was-sealed.yaml"]
    assert told.splitlines() == [
        "ksecret: skipped, as it is a service account's token, which the cluster makes: prod/token",
        "ksecret: skipped, as it is Helm's own record of a release: prod/sh.helm.release.v1.app.v0,"
        " prod/sh.helm.release.v1.app.v1, prod/sh.helm.release.v1.app.v2 and 2 more",
        "ksecret: skipped, as it is a bootstrap token, by which nodes join: prod/bootstrap-token-abcdef",
        "ksecret: skipped, as it is made by a Certificate: prod/web-tls",
        "ksecret: skipped, as it is being deleted: prod/going",
        "ksecret: 1 imported, 9 skipped, 0 failed",
    ]
    assert "annotations" not in opened(me, (me.work / "was-sealed.yaml").read_bytes())["metadata"]


def test_one_that_is_named_is_taken_with_a_warning_but_no_token_is(me: Person, cluster: Cluster) -> None:
    cluster.has(live("web-tls", metadata=owned("Certificate")))
    assert "prod/web-tls: made by a Certificate, which may change it" in me.ok("import", "secrets/web-tls").err
    labels = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"meta.helm.sh/release-name": "app"}}
    cluster.has(live(metadata=labels))
    ran = me.ok("import", "secret/db")
    assert "prod/db: made by Helm's release app" in ran.err
    assert opened(me, ran.out)["metadata"] == {"name": "db", "namespace": "prod"}
    cluster.has(live("token", type="kubernetes.io/service-account-token"))
    assert "prod/token is a service account's token" in me.fails(3, "import", "secret/token")


def test_one_that_can_not_be_sealed_does_not_stop_the_others(me: Person, cluster: Cluster) -> None:
    cluster.has(live("a", metadata={"annotations": {"note": f"it is {PASSWORD}"}}), live("b"))
    ran = me.run("import", "-r", "-o", ".")
    assert (ran.code, me.names()) == (3, ["b.yaml"])
    assert ran.err.startswith("ksecret: a.yaml")
    assert ran.err.endswith("ksecret: 1 imported, 0 skipped, 1 failed\n".replace("0 skipped, ", ""))
    assert me.fails(3, "import", "secret/a", "secret/b", "-o", "both.yaml").startswith("ksecret: prod/a: ")
    assert me.names() == ["b.yaml"]


def test_nothing_is_made_behind_a_link_out_of_the_repository(me: Person, cluster: Cluster) -> None:
    cluster.has(live())
    outside = me.home / "outside"
    outside.mkdir()
    (me.work / ".git").mkdir()
    (me.work / "deploy").symlink_to(outside)
    assert "leads out of the repository" in me.run("import", "-r", "-o", "deploy/prod").err
    assert list(outside.iterdir()) == []


def test_sealed_in_sopss_format_too(me: Person, cluster: Cluster) -> None:
    cluster.has(live())
    me.ok("import", "secret/db", "--format", "sops", "-k", me.ref, "-o", "db.yaml")
    text = (me.work / "db.yaml").read_bytes()
    assert b"\nsops:\n" in text
    assert yaml.safe_load(me.ok("decrypt", "db.yaml").out)["data"] == {"password": b64(PASSWORD)}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "no Secret named"),
        (["db"], 2, "is named secret/NAME"),
        (["secret/--all"], 2, "is named secret/NAME"),
        (["-r"], 2, "-o FOLDER"),
        (["-r", "-o", "-"], 2, "-o FOLDER"),
        (["-", "secret/db"], 2, "what kubectl get printed"),
        (["-", "-n", "prod"], 2, "what kubectl get printed"),
        (["secret/db", "-o", "there.yaml"], 7, "-f overwrites it"),
    ],
)
def test_words_that_do_not_go_together(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.yaml").touch()
    assert main(["import", *words]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (live("../../etc/x"), "a Secret whose metadata.name is no name that Kubernetes gives"),
        (live(".hidden"), "a Secret whose metadata.name is no name that Kubernetes gives"),
        (live(metadata={"namespace": "../x"}), "a Secret whose metadata.namespace is no name that Kubernetes gives"),
        (live(data={"a": f"{MARK}!"}), "prod/db: a value under data is not base64"),
        ({"apiVersion": "v1", "kind": "Secret"}, "a Secret without a name"),
        (live(metadata={"labels": ["a"]}), "prod/db: labels is no mapping"),
        (live(metadata={"labels": {"a": 1}}), "prod/db: labels holds what is no text"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}, "there is no Secret to import"),
        (listed(), "there is no Secret to import"),
    ],
)
def test_what_no_api_server_prints_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        live_secrets([given], named=True)


def test_what_is_wrong_with_standard_input_is_told_of_it(me: Person) -> None:
    for words in (["import", "-"], ["import", "-r", "-o", "d", "-"]):
        told = me.fails(3, *words, stdin=json.dumps(live("../../etc/x")).encode())
        assert told == "ksecret: standard input: a Secret whose metadata.name is no name that Kubernetes gives\n"
    assert me.names() == []


def test_kubectl_that_fails_or_prints_something_else(me: Person, cluster: Cluster) -> None:
    cluster.has(live())
    assert "kubectl get failed" in me.fails(6, "import", "secret/db", CODE="1")
    (me.home / "x").mkdir()
    assert "kubectl: not found" in me.fails(127, "import", "secret/db", PATH=str(me.home / "x"))
    cluster.has()
    me.environ["OUT"] = str(me.work)
    me.write("objects", f"apiVersion: v1 {MARK}\n".encode())
    assert "something else than JSON" in me.fails(6, "import", "secret/db")
