"""A new Secret's YAML and JSON: members, order, quotes, hash, limits."""

from __future__ import annotations

import json
import re
from base64 import b64encode

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from secretsvc.errors import InputError, UsageError
from secretsvc.generators.manifest import NewSecret, check, to_json, to_yaml, with_hash
from secretsvc.manifest.reader import read

FULL = NewSecret(
    "db",
    "prod",
    "Opaque",
    {"b": b"2", "a": b"\xff", "B": b""},
    {"url": "http://x", "text": "one\ntwo\n", "y": "on"},
    {"tier": "1", "app": "db"},
    {"note": "a: b"},
    immutable=True,
)


def test_yaml_in_kubectls_order() -> None:
    assert to_yaml(FULL).decode() == (
        'apiVersion: v1\ndata:\n  B: ""\n  a: /w==\n  b: Mg==\nimmutable: true\nkind: Secret\nmetadata:\n'
        '  annotations:\n    note: "a: b"\n  labels:\n    app: db\n    tier: "1"\n  name: db\n  namespace: prod\n'
        'stringData:\n  text: |\n    one\n    two\n  url: "http://x"\n  "y": "on"\ntype: Opaque\n'
    )


def test_json_in_the_order_of_the_go_types() -> None:
    text = to_json(FULL).decode()
    assert re.findall(r'(?m)^ {4}"(\w+)"', text) == [
        *("kind", "apiVersion", "metadata", "immutable", "data", "stringData", "type")
    ]
    assert re.findall(r'(?m)^ {8}"(\w+)"', text)[:4] == ["name", "namespace", "labels", "annotations"]
    assert text.startswith('{\n    "kind": "Secret",\n')
    assert text.endswith("\n}\n")


def test_empty_fields_are_left_out() -> None:
    assert to_yaml(NewSecret("")) == b"apiVersion: v1\nkind: Secret\nmetadata: {}\n"
    assert json.loads(to_json(NewSecret(""))) == {"kind": "Secret", "apiVersion": "v1", "metadata": {}}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
KEY = st.from_regex(r"\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,20}", fullmatch=True)


@given(KEY, st.dictionaries(KEY, st.binary(max_size=40)), st.dictionaries(KEY, TEXT), TEXT)
def test_both_forms_mean_the_same_to_our_reader(
    name: str, data: dict[str, bytes], texts: dict[str, str], kind: str
) -> None:
    secret = NewSecret(name, type=kind, data=data, string_data=texts, annotations=texts)
    expected = {("data", key): b64encode(value).decode() for key, value in data.items()}
    expected |= {("stringData", key): text for key, text in texts.items()}
    for form in (to_yaml, to_json):
        (found,) = read(form(secret)).secrets
        assert {(entry.field, entry.key): entry.value for entry in found.entries} == expected
        assert (found.name, found.type) == (name, kind or "Opaque")
    assert json.loads(to_json(secret))["metadata"].get("annotations", {}) == texts


@pytest.mark.parametrize(
    ("secret", "name"),
    [
        (NewSecret("s", data={"a": b"b"}), "s-7fd2tm89d8"),
        (NewSecret("s"), "s-6cmg28h685"),
        (NewSecret("s", "ns", "Opaque", {"a": b"b"}, labels={"x": "y"}), "s-hft88d9fbb"),
    ],
)
def test_the_hash_is_kubectls(secret: NewSecret, name: str) -> None:
    assert with_hash(secret).name == name


def test_the_hash_tells_apart_what_kubernetes_would() -> None:
    base = NewSecret("s", data={"a": b"b"})
    others = [base, base._replace(immutable=True), base._replace(string_data={"c": "d"})]
    assert len({with_hash(secret).name for secret in others}) == 3


def test_one_mebibyte_of_values_is_the_limit() -> None:
    full = NewSecret("s", data={"a": b"x" * 1_048_575}, string_data={"a-long-key": "y"})
    check(full, pytest.fail)
    with pytest.raises(InputError, match=r"1048577 bytes of values, over Kubernetes' limit of 1048576"):
        check(full._replace(string_data={"k": "é"}), pytest.fail)


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (NewSecret("\udcff"), "NAME: not UTF-8"),
        (NewSecret("s", "\udcff"), "--namespace: not UTF-8"),
        (NewSecret("s", type="\udcff"), "--type: not UTF-8"),
        (NewSecret("s", annotations={"a": "\udcff"}), "--annotation: not UTF-8"),
        (NewSecret("s", annotations={"a b": "c"}), "--annotation: not a valid key"),
        (NewSecret("s", labels={"a": "b c"}), "--label: not a valid label"),
        (NewSecret("s", labels={"a": "x" * 64}), "--label: not a valid label"),
        (NewSecret("s", labels={"Bad_Prefix/a": "b"}), "--label: not a valid label"),
        (NewSecret("s", labels={"a/b/c": "b"}), "--label: not a valid label"),
        (NewSecret("s", labels={"a\n": "b"}), "--label: not a valid label"),
    ],
)
def test_what_no_server_takes_is_refused(secret: NewSecret, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(secret, pytest.fail)


def test_names_that_a_server_refuses_are_told() -> None:
    heard: list[str] = []
    check(NewSecret("BAD NAME", "a.b"), heard.append)
    assert [line.split(" is not")[0] for line in heard] == ["NAME", "--namespace"]
    check(NewSecret("a.b-c", "x", labels={"app.io/name": "", "a": "B_1"}), pytest.fail)


def test_no_repr_shows_a_value() -> None:
    assert "hunter2" not in repr(NewSecret("s", data={"a": b"hunter2"}, string_data={"b": "hunter2"}))


def test_kubectls_yaml_reads_as_texts_everywhere() -> None:
    """PyYAML's rules differ from Kubernetes' own; a manifest must mean the same by both."""
    tricky = {key: b"\xd7\x67\xb7" for key in ("true", "null", "on", "1e3", "0x1F", "0o17", "1_0", ".5")}
    made = yaml.safe_load(to_yaml(NewSecret("123", type="on", data=tricky)))
    assert made["data"] == dict.fromkeys(tricky, "12e3")  # 12e3 is a number to Kubernetes, so it stands in quotes
    assert b'"12e3"' in to_yaml(NewSecret("s", data=tricky))
    assert (made["metadata"]["name"], made["type"]) == ("123", "on")
