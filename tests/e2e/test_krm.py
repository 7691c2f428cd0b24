"""`ksecret-krm` and `ksecret kustomize install`, called by the real kubectl and kustomize where they are present."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cli import BIN, CONFIG_MAP, MANIFEST, MARK, PASSWORD, URL, USER, Person, Ran, b64

if TYPE_CHECKING:
    from collections.abc import Iterable

KRM = os.path.join(BIN, "ksecret-krm")
_SDK = Path("/usr/lib/google-cloud-sdk/bin")
KUBECTLS = [found for found in [shutil.which("kubectl"), *map(str, sorted(_SDK.glob("kubectl.1.*")))] if found]
KUSTOMIZE = shutil.which("kustomize") or os.environ.get("KSECRET_TEST_KUSTOMIZE")

GENERATOR = """\
apiVersion: ksecret.dev/v1alpha1
kind: KsecretGenerator
metadata:
  name: secrets
files: [db.yaml]
"""
HASHED = GENERATOR.replace(
    "  name: secrets\n",
    '  name: secrets\n  annotations:\n    kustomize.config.k8s.io/needs-hash: "true"\n    example.com/note: mine\n',
)
MERGED = HASHED.replace("    example.com", "    kustomize.config.k8s.io/behavior: merge\n    example.com")
KUSTOMIZATION = "namespace: prod\ngenerators: [generator.yaml]\n"
BASE = """\
secretGenerator:
- name: db
  namespace: prod
  literals: [username=replaced, kept=1]
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  template:
    spec:
      containers: [{name: app, envFrom: [{secretRef: {name: db}}]}]
"""


def values(secret: dict[str, Any]) -> dict[str, bytes]:
    return {key: b64decode(text) for key, text in secret["data"].items()}


EXPECTED = {"username": USER.encode(), "password": PASSWORD.encode(), "url": URL.encode()}


def function(me: Person, config: str = GENERATOR, items: str = "items: []\n") -> Ran:
    """A run as kustomize makes one of a KRM function."""
    indented = "".join(f"  {line}\n" for line in config.splitlines())
    request = f"apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n{items}functionConfig:\n{indented}"
    return me.run(stdin=request.encode(), program=KRM)


def legacy(me: Person, config: str = GENERATOR) -> Ran:
    """A run as kustomize makes one of an exec plugin: the configuration lies elsewhere."""
    path = me.home / "config-1234"
    path.write_text(config)
    return me.run(str(path), program=KRM)


def test_a_function_adds_the_secrets_to_the_items(me: Person) -> None:
    me.write_sealed("db.yaml")
    item = "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {one: '1', t: yes!}}"
    ran = function(me, items=f"items:\n- {item}\n")
    assert (ran.code, ran.err) == (0, "")
    answer = json.loads(ran.out)
    assert (answer["apiVersion"], answer["kind"]) == ("config.kubernetes.io/v1", "ResourceList")
    assert answer["functionConfig"]["kind"] == "KsecretGenerator"
    before, secret = answer["items"]
    assert before == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "m"},
        "data": {"one": "1", "t": "yes!"},
    }
    assert values(secret) == EXPECTED
    assert secret["metadata"] == {"name": "db", "namespace": "prod"}
    assert not {"ksecret", "stringData"} & set(secret)
    assert "results" not in answer


def test_the_generator_heeds_policies_as_decrypt_does(me: Person) -> None:
    me.write_sealed("db.yaml")
    me.write(".ksecret.yaml", b"version: 2\n")
    ran = legacy(me)
    assert (ran.code, b"kind" in ran.out) == (0, True)
    assert ran.err.startswith("ksecret: warning: .ksecret.yaml:1: version is not 1")
    me.write(".ksecret.yaml", b"version: 2\nrequireSignature: true\n")
    ran = legacy(me)
    assert (ran.code, ran.out) == (1, b"")
    assert ran.err.startswith("ksecret: .ksecret.yaml:1: version is not 1")


def test_a_plugin_prints_manifests(me: Person) -> None:
    me.write_sealed("db.yaml", CONFIG_MAP + b"---\n" + MANIFEST)
    ran = legacy(me)
    assert (ran.code, ran.err) == (0, "")
    config_map, secret = yaml.safe_load_all(ran.out)
    assert config_map == yaml.safe_load(CONFIG_MAP)
    assert values(secret) == EXPECTED


def test_items_of_lists_stand_on_their_own(me: Person) -> None:
    entry = f'"data": {{"a": "{b64(MARK)}"}}'
    secrets = ", ".join(f'{{"metadata": {{"name": "{name}"}}, {entry}}}' for name in "xy")
    me.write_sealed("db.yaml", f'{{"apiVersion": "v1", "kind": "SecretList", "items": [{secrets}]}}'.encode())
    found = list(yaml.safe_load_all(legacy(me, MERGED).out))
    assert [(one["kind"], one["metadata"]["name"]) for one in found] == [("Secret", "x"), ("Secret", "y")]
    assert found[0]["metadata"]["annotations"]["kustomize.config.k8s.io/behavior"] == "merge"


def test_the_annotations_for_kustomize_are_passed_on_and_a_secrets_own_win(me: Person) -> None:
    own = b'  annotations:\n    kustomize.config.k8s.io/needs-hash: "false"\n    own: "1"\ntype:'
    me.write_sealed("db.yaml", CONFIG_MAP + b"---\n" + MANIFEST.replace(b"type:", own))
    config_map, secret = json.loads(function(me, MERGED).out)["items"]
    assert secret["metadata"]["annotations"] == {
        "kustomize.config.k8s.io/needs-hash": "false",
        "kustomize.config.k8s.io/behavior": "merge",
        "own": "1",
    }
    assert "annotations" not in config_map["metadata"]


def test_string_data_becomes_data_and_wins(me: Person) -> None:
    text = f"déjà \U0001f511 \x7f {MARK}"
    me.write_sealed("db.yaml", MANIFEST + f'  password: "déjà \U0001f511 \\x7f {MARK}"\n'.encode())
    assert values(json.loads(function(me).out)["items"][0]) == EXPECTED | {"password": text.encode()}


def test_what_fails_is_a_result_and_a_line(me: Person, tmp_path: Path) -> None:
    Person(tmp_path, "stranger").write_sealed("theirs.yaml")
    me.write("clear.yaml")
    me.write_sealed("db.yaml")
    config = GENERATOR.replace("[db.yaml]", "[db.yaml, clear.yaml, theirs.yaml, gone.yaml]")
    ran = function(me, config)
    assert ran.code == 1
    answer = json.loads(ran.out)
    assert [(one["severity"], one["file"]["path"]) for one in answer["results"]] == [
        ("error", "clear.yaml"),
        ("error", "theirs.yaml"),
        ("error", "gone.yaml"),
    ]
    assert not [line for line in ran.err.splitlines() if not line.startswith(("ksecret: ", "  "))]
    assert "ksecret: clear.yaml: no Secret in it is sealed" in ran.err
    ran = legacy(me, config)
    assert (ran.code, ran.out) == (1, b"")
    assert "ksecret: gone.yaml: can't be read" in ran.err


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GENERATOR.replace("v1alpha1", "v9"), "is no ksecret.dev/v1alpha1 KsecretGenerator"),
        (GENERATOR.replace("kind: K", "kind: J"), "is no ksecret.dev/v1alpha1 KsecretGenerator"),
        (GENERATOR + "fils: [a]\n", "fields that are not known: fils"),
        (GENERATOR.replace("[db.yaml]", "[]"), "lists no files"),
        (GENERATOR.replace("[db.yaml]", "db.yaml"), "lists no files"),
        (GENERATOR.replace("[db.yaml]", "[12]"), "lists no files"),
        (GENERATOR.replace("[db.yaml", '[db.yaml, "db\\0.yaml"'), "file 2 of the list can't be the name of one"),
    ],
)
def test_a_wrong_configuration(me: Person, config: str, message: str) -> None:
    me.write_sealed("db.yaml")
    ran = function(me, config)
    assert ran.code == 1
    assert message in ran.err
    assert message in json.loads(ran.out)["results"][0]["message"]
    ran = legacy(me, config)
    assert (ran.code, ran.out) == (1, b"")
    assert message in ran.err


def outside(me: Person) -> list[str]:
    """Sealed manifests that lie outside of the kustomization, and links in it that lead to them."""
    elsewhere = me.home / "elsewhere"
    elsewhere.mkdir()
    beside = me.work.with_name(f"{me.work.name}-beside")  # begins as the kustomization's folder does
    beside.mkdir()
    for folder in (elsewhere, beside):
        me.write_sealed("db.yaml").rename(folder / "db.yaml")
    (me.work / "link.yaml").symlink_to(elsewhere / "db.yaml")
    (me.work / "folder").symlink_to(elsewhere)
    relative = os.path.relpath(elsewhere / "db.yaml", me.work)
    return [relative, str(elsewhere / "db.yaml"), "link.yaml", "folder/db.yaml", str(beside / "db.yaml")]


@pytest.mark.parametrize("call", [function, legacy])
def test_what_lies_outside_of_the_kustomization_is_not_opened_unless_that_is_allowed(me: Person, call: Any) -> None:
    """As kustomize has it: `security; file '…' is not in or below '…'`, and its --load-restrictor."""
    for file in outside(me):
        config = GENERATOR.replace("db.yaml", file)
        for allowed in ("", "LoadRestrictionsRootOnly"):
            me.environ["KSECRET_LOAD_RESTRICTOR"] = allowed
            ran = call(me, config)
            assert (ran.code, PASSWORD in ran.out.decode(), b64(PASSWORD) in ran.out.decode()) == (1, False, False)
            assert f"ksecret: {file}: it is not in or below the kustomization's folder" in ran.err
        me.environ["KSECRET_LOAD_RESTRICTOR"] = "LoadRestrictionsNone"
        ran = call(me, config)
        assert (ran.code, b64(PASSWORD) in ran.out.decode()) == (0, True), ran.err
    me.environ["KSECRET_LOAD_RESTRICTOR"] = "none"
    ran = call(me, config)
    assert (ran.code, b64(PASSWORD) in ran.out.decode()) == (1, False)
    assert "KSECRET_LOAD_RESTRICTOR: there are LoadRestrictionsRootOnly and LoadRestrictionsNone" in ran.err


@pytest.mark.parametrize("call", [function, legacy])
def test_what_lies_in_the_kustomization_is_opened_however_it_is_named(me: Person, call: Any) -> None:
    (me.work / "sub").mkdir()
    path = me.write_sealed("sub/db.yaml")
    (me.work / "link.yaml").symlink_to("sub/db.yaml")
    for file in ("sub/db.yaml", "./sub/../sub/db.yaml", "link.yaml", str(path), f"../{me.work.name}/link.yaml"):
        ran = call(me, GENERATOR.replace("db.yaml", file))
        assert (ran.code, b64(PASSWORD) in ran.out.decode()) == (0, True), ran.err


@pytest.mark.skipif(not KUBECTLS, reason="kubectl is not on this machine")
def test_the_real_kubectl_refuses_the_same(me: Person) -> None:
    me.ok("kustomize", "install")
    (me.work / "base").mkdir()
    (me.work / "base" / "kustomization.yaml").write_text(KUSTOMIZATION)
    me.write_sealed("db.yaml")
    (me.work / "base" / "generator.yaml").write_text(GENERATOR.replace("db.yaml", "../db.yaml"))
    words = ("kustomize", "--enable-alpha-plugins", "base")
    ran = me.run(*words, program=KUBECTLS[0], KUBECONFIG=os.devnull)
    assert (ran.code, b64(PASSWORD) in ran.out.decode()) == (1, False)
    assert "not in or below the kustomization's folder" in ran.err
    found = built(me, KUBECTLS[0], *words, KSECRET_LOAD_RESTRICTOR="LoadRestrictionsNone")
    assert values(found["Secret"]) == EXPECTED


def test_input_that_is_no_resource_list(me: Person) -> None:
    for stdin in (b"", b"kind: Other\n", f"kind: '{MARK}\n".encode()):
        ran = me.run(stdin=stdin, program=KRM)
        assert (ran.code, ran.out) == (1, b"")
        assert ran.err.startswith("ksecret: ")
    ran = me.run("a", "b", program=KRM)
    assert (ran.code, ran.out) == (1, b"")
    assert "called by kustomize" in ran.err


def project(me: Person, files: Iterable[tuple[str, str]]) -> None:
    """A kustomization in the work folder, with the sealed Secret beside it."""
    me.write_sealed("db.yaml")
    for name, text in files:
        me.write(name, text.encode())


def built(me: Person, *command: str, **environ: str) -> dict[str, dict[str, Any]]:
    """What kustomize builds, by kind."""
    environ = {"KUBECONFIG": os.devnull} | environ
    ran = me.ok(*command[1:], program=command[0], **environ)
    return {one["kind"]: one for one in yaml.safe_load_all(ran.out)}


@pytest.mark.skipif(not KUBECTLS, reason="kubectl is not on this machine")
@pytest.mark.parametrize("kubectl", KUBECTLS, ids=os.path.basename)
def test_the_real_kubectl_calls_the_installed_plugin(me: Person, kubectl: str) -> None:
    project(
        me,
        [
            ("kustomization.yaml", KUSTOMIZATION + "namePrefix: my-\nresources: [app.yaml]\n" + BASE),
            ("generator.yaml", MERGED),
            ("app.yaml", DEPLOYMENT),
        ],
    )
    me.ok("kustomize", "install")
    found = built(me, kubectl, "kustomize", "--enable-alpha-plugins", ".")
    secret = found["Secret"]
    assert values(secret) == EXPECTED | {"kept": b"1"}
    name = secret["metadata"]["name"]
    assert name.startswith("my-db-")
    assert len(name) == len("my-db-") + 10
    assert secret["metadata"].get("annotations", {}) == {}
    container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": name}}]


@pytest.mark.skipif(not KUBECTLS, reason="kubectl is not on this machine")
def test_the_real_kubectl_stops_where_a_file_does_not_open(me: Person) -> None:
    project(me, [("kustomization.yaml", KUSTOMIZATION), ("generator.yaml", GENERATOR)])
    me.write("db.yaml", (me.work / "db.yaml").read_bytes().replace(b"name: db", b"name: moved"))
    me.ok("kustomize", "install")
    ran = me.run("kustomize", "--enable-alpha-plugins", ".", program=KUBECTLS[0], KUBECONFIG=os.devnull)
    assert (ran.code, ran.out) == (1, b"")
    assert "ksecret: db.yaml:" in ran.err


@pytest.mark.skipif(not KUSTOMIZE, reason="kustomize is not on this machine")
@pytest.mark.parametrize("config", [GENERATOR, MERGED], ids=["alone", "merged"])
def test_the_real_kustomize_calls_the_function(me: Person, config: str) -> None:
    assert KUSTOMIZE
    call = "  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ksecret-krm}\n"
    merged = "behavior" in config
    config = config.replace("  annotations:\n", call) if merged else config.replace("files:", call + "files:")
    project(me, [("kustomization.yaml", KUSTOMIZATION + (BASE if merged else "")), ("generator.yaml", config)])
    found = built(me, KUSTOMIZE, "build", "--enable-alpha-plugins", "--enable-exec", ".")
    assert set(found) == {"Secret"}
    assert values(found["Secret"]) == (EXPECTED | {"kept": b"1"} if merged else EXPECTED)
    assert found["Secret"]["metadata"]["name"].startswith("db-" if merged else "db")
    me.write("db.yaml", (me.work / "db.yaml").read_bytes().replace(b"name: db", b"name: moved"))
    ran = me.run("build", "--enable-alpha-plugins", "--enable-exec", ".", program=KUSTOMIZE)
    assert (ran.code, ran.out) == (1, b"")
    assert "ksecret: db.yaml:" in ran.err


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({}, "kustomize/plugin"),
        ({"XDG_CONFIG_HOME": ""}, ".config/kustomize/plugin"),
        ({"KUSTOMIZE_PLUGIN_HOME": "{home}/plugins"}, "plugins"),
    ],
)
def test_install_puts_a_link_where_kustomize_looks(me: Person, environ: dict[str, str], home: str) -> None:
    stated = {name: text.format(home=me.home) for name, text in environ.items()}
    link = me.home / home / "ksecret.dev/v1alpha1/ksecretgenerator/KsecretGenerator"
    for _ in range(2):
        assert me.ok("kustomize", "install", **stated).out == f"{link} -> {KRM}\n".encode()
        assert os.readlink(link) == KRM
    link.unlink()
    link.write_text("somebody's own")
    assert "something else is there already" in me.fails(7, "kustomize", "install", **stated)
    assert link.read_text() == "somebody's own"
    me.fails(2, "kustomize")


def test_the_function_starts_without_any_sdk() -> None:
    code = "import secretsvc.cli.krm, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [os.path.join(BIN, "python"), "-c", code], capture_output=True, check=True, text=True
    ).stdout
    assert not {"botocore", "google", "grpc", "fastapi"} & set(loaded.split())
