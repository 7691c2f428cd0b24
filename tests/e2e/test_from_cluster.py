"""`encrypt --from-cluster`: what `kubectl get -o yaml` brings along does not go back to the cluster."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.e2e.cli import MANIFEST, PASSWORD, Person, b64, is_sealed

SECRET = {
    "apiVersion": "v1",
    "data": {"password": b64(PASSWORD)},
    "kind": "Secret",
    "metadata": {
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"a": "eA=="}})},
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "generation": 2,
        "labels": {"app": "web"},
        "managedFields": [{"apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}, "manager": "kubectl"}],
        "name": "db",
        "namespace": "prod",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1-2-3"}],
        "resourceVersion": "4711",
        "selfLink": "/api/v1/namespaces/prod/secrets/db",
        "uid": "6b1d5e0c-0000-4000-8000-000000000000",
    },
    "status": {"phase": "x"},
    "type": "Opaque",
}
LEFT = {
    "apiVersion": "v1",
    "data": {"password": b64(PASSWORD)},
    "kind": "Secret",
    "metadata": {"labels": {"app": "web"}, "name": "db", "namespace": "prod"},
    "type": "Opaque",
}
WARNING = (
    ": uid, resourceVersion, managedFields, ownerReferences, status: only a cluster sets that, and the next apply will"
    " fail over it; --from-cluster takes it away\n"
)


def named(secret: dict[str, object], name: str) -> dict[str, object]:
    return json.loads(json.dumps(secret).replace('"db"', f'"{name}"'))


def listed(*secrets: dict[str, object]) -> dict[str, object]:
    return {"apiVersion": "v1", "items": list(secrets), "kind": "List", "metadata": {"resourceVersion": ""}}


SHAPES = {
    "as kubectl prints yaml": yaml.safe_dump,
    "as kubectl prints json": lambda whole: json.dumps(whole, indent=4),
    "json on one line": json.dumps,
    "flow style": lambda whole: yaml.safe_dump(whole, default_flow_style=True, width=60),
    "crlf": lambda whole: yaml.safe_dump(whole).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_only_the_cluster_sets_goes_and_the_rest_stays(me: Person, shape: str) -> None:
    form = SHAPES[shape]
    for before, after in (
        (SECRET, LEFT),
        (listed(SECRET, named(SECRET, "two")), listed(LEFT, named(LEFT, "two"))),
    ):
        ran = me.ok("encrypt", "--from-cluster", "-", stdin=form(before).encode())
        assert ran.err == ""
        opened = me.ok("decrypt", "-", stdin=ran.out).out
        assert yaml.safe_load(opened) == after
        if "yaml" in shape or shape == "crlf":
            assert opened == form(after).encode()


def test_bytes_around_it_stay(me: Person) -> None:
    extra = """\
  # who made it
  uid: "1"   # gone with it
  # between
  resourceVersion: "2"
  annotations: {}
  labels:
    # inner
    app: web
  creationTimestamp: null
"""
    kept = """\
  # who made it
  # between
  labels:
    # inner
    app: web
"""
    place = b"  name: db\n"
    text = MANIFEST.replace(place, extra.encode() + place)
    sealed = me.ok("encrypt", "--from-cluster", "-", stdin=text).out
    assert me.ok("decrypt", "-", stdin=sealed).out == MANIFEST.replace(place, kept.encode() + place)


def test_annotations_with_something_left_in_them_stay(me: Person) -> None:
    secret = json.loads(json.dumps(SECRET))
    secret["metadata"]["annotations"]["team"] = "shop"
    sealed = me.ok("encrypt", "--from-cluster", "-", stdin=yaml.safe_dump(secret).encode()).out
    assert yaml.safe_load(me.ok("decrypt", "-", stdin=sealed).out)["metadata"]["annotations"] == {"team": "shop"}


def test_other_objects_keep_theirs(me: Person) -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "1"}, "status": {"a": 1}}
    sealed = me.ok("encrypt", "--from-cluster", "-", stdin=yaml.safe_dump(listed(config_map, SECRET)).encode()).out
    assert yaml.safe_load(me.ok("decrypt", "-", stdin=sealed).out)["items"] == [config_map, LEFT]


@pytest.mark.parametrize("option", ["--from-cluster", "--strip-last-applied"])
def test_in_place_it_cleans_what_is_sealed_already(me: Person, option: str) -> None:
    secret = json.loads(json.dumps(SECRET))
    del secret["metadata"]["annotations"], secret["status"]
    path = me.write("a.yaml", yaml.safe_dump(secret).encode())
    assert me.run("encrypt", "-i", "a.yaml").code == 0
    assert b"resourceVersion" in path.read_bytes()
    me.ok("encrypt", "-i", option, "a.yaml")
    assert is_sealed(path.read_bytes())
    assert b"resourceVersion" not in path.read_bytes()
    assert yaml.safe_load(me.ok("decrypt", "a.yaml").out) == LEFT
    assert "sealed already" in me.fails(3, "encrypt", "-i", option, "a.yaml")


def test_without_it_one_is_warned(me: Person) -> None:
    secret = json.loads(json.dumps(SECRET))
    del secret["metadata"]["annotations"]
    me.write("a.yaml", yaml.safe_dump(listed(secret, named(secret, "two"))).encode())
    ran = me.ok("encrypt", "-o", "b.yaml", "a.yaml")
    line = next(n for n, text in enumerate((me.work / "a.yaml").read_text().splitlines(), 1) if "managedF" in text)
    assert ran.err == f"ksecret: warning: a.yaml:{line}{WARNING}"
    del secret["metadata"]["uid"]
    err = me.ok("encrypt", "-x", "-", stdin=json.dumps(secret).encode()).err
    assert err.startswith("ksecret: warning: standard input:1: resourceVersion, managedFields")


def test_what_does_no_harm_is_not_worth_a_warning(me: Person) -> None:
    harmless = "  creationTimestamp: null\n  generation: 1\n  resourceVersion: ''\n  managedFields: []\n  uid: null\n"
    text = MANIFEST.replace(b"  name: db\n", harmless.encode() + b"  name: db\n")
    assert me.ok("encrypt", "-", stdin=text).err == ""
    config_map = b"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, uid: a}\n"
    assert me.ok("encrypt", "-", stdin=MANIFEST + config_map).err == ""


def test_clear_text_and_binary_go_with_it(me: Person) -> None:
    text = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  uid: '1'\ndata:\n  a: !!binary AAEC\n  b: clear\n"
    sealed = me.ok("encrypt", "-x", "--from-cluster", "-", stdin=text).out
    expected = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  a: AAEC\n  b: Y2xlYXI=\n"
    assert me.ok("decrypt", "-", stdin=sealed).out == expected
    assert "standard input:5: uid" in me.ok("encrypt", "-x", "-", stdin=text).err
