"""What `check` finds of Secrets inside other objects, and what only looks like one there."""

from __future__ import annotations

import json

import pytest

from secretsvc.operations.check import check_file
from tests.integration.check_support import MARK, SOPS, allowed, found
from tests.support import seal

SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData:
  password: n0t-public
"""


def within(indent: int, text: str = SECRET) -> str:
    return text.replace("\n", "\n" + " " * indent).rstrip(" ")


HOLDERS = {
    "an OpenShift Template": "kind: Template\nobjects:\n- " + within(2),
    "a Kyverno policy": """\
apiVersion: kyverno.io/v1
kind: ClusterPolicy
spec:
  rules:
  - name: x
    generate:
      apiVersion: v1
      kind: Secret
      name: regcred
      data:
        kind: Secret
        type: Opaque
        metadata: {labels: {a: b}}
        data:
          password: n0t-public
""",
    "a Kyverno policy whose data says no kind": """\
kind: ClusterPolicy
spec:
  rules:
  - generate:
      kind: Secret
      data:
        metadata: {labels: {a: b}}
        stringData: {password: n0t-public}
""",
    "an Ansible playbook": "- hosts: all\n  tasks:\n  - kubernetes.core.k8s:\n      definition:\n        " + within(8),
    "a chart's values": "extraObjects:\n  - " + within(4),
    "a Crossplane Object": "kind: Object\nspec:\n  forProvider:\n    manifest:\n      " + within(6),
    "a ManifestWork": "kind: ManifestWork\nspec:\n  workload:\n    manifests:\n    - " + within(6),
    "a ConfigMap": "kind: ConfigMap\ndata:\n  db.yaml: |\n    " + within(4),
    "a ConfigMap with two documents": "kind: ConfigMap\ndata:\n  db.yaml: |\n    a: b\n    ---\n    " + within(4),
    "a ConfigMap with a template": "kind: ConfigMap\ndata:\n  db.yaml: |\n    {{- if .x }}\n    " + within(4),
    "a Secret in a List in a ConfigMap": "kind: ConfigMap\ndata:\n  db.yaml: |\n    items:\n    - " + within(6),
    "a patch": "patches:\n- target: {kind: Secret}\n  patch: |-\n    " + within(4),
    "one whose kind is merged": "x: &k {kind: Secret}\nobjects:\n- <<: *k\n  data: {a: n0t-public}\n",
    "one whose data is an alias": "x: &k {a: n0t-public}\nobjects:\n- kind: Secret\n  data: *k\n",
    "one with an anchor": "x: &s\n  " + within(2) + "kind: Template\nobjects: [*s]\n",
    "one in a key": "? {kind: Secret, data: {a: n0t-public}}\n: x\n",
    "one with an entry called metadata": "objects:\n- kind: Secret\n  data: {metadata: n0t-public}\n",
    "an array": "- " + within(2),
}


@pytest.mark.parametrize("text", HOLDERS.values(), ids=HOLDERS)
def test_a_secret_inside_another_object_is_a_finding(text: str) -> None:
    ((line, code),) = found(text.encode())
    assert code == "KS014"
    assert MARK in text.splitlines()[line - 1]


@pytest.mark.parametrize("name", ["an OpenShift Template", "a ConfigMap", "a Kyverno policy"])
@pytest.mark.parametrize(
    "value",
    [
        "'{{ .password }}'",
        "' {{- .a }} {{ .b }} '",
        "'${PASSWORD}'",
        "'ksecret.v1.AAAA'",
        '""',
        "'  '",
        "null",
        "[]",
        "{}",
    ],
)
def test_without_a_value_of_its_own_it_is_none(name: str, value: str) -> None:
    assert found(HOLDERS[name].replace(MARK, value).encode()) == []


def test_what_sops_or_ksecret_sealed_inside_another_object_is_no_finding() -> None:
    sealed = seal(SECRET.encode()).decode()
    for text in (SOPS, sealed):
        assert found(("kind: ConfigMap\ndata:\n  db.yaml: |\n    " + within(4, text)).encode()) == []
        assert found(("objects:\n- " + within(2, text)).encode()) == []


def test_json_in_json_and_in_an_annotation() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": MARK}}
    holder = {"kind": "ConfigMap", "metadata": {"annotations": {"was": json.dumps(secret)}}}
    for data in (json.dumps(holder), json.dumps({"a": [holder, {"b": secret}]}, indent=1)):
        assert {code for _, code in found(data.encode())} == {"KS014"}
    (finding,) = check_file(json.dumps(holder).encode(), "a.json", None, 0).findings
    assert "(the text metadata.annotations.was)" in finding.message


def test_the_message_says_where() -> None:
    text = HOLDERS["a Crossplane Object"]
    (finding,) = check_file(text.encode(), "a.yaml", None, 0).findings
    assert finding.message == (
        "a Secret inside another object (spec.forProvider.manifest) is in the clear, and ksecret does not seal it there"
    )
    (odd,) = check_file(b'{"a\\u001b[31m":{"kind":"Secret","data":{"a":"b"}}}', "a.json", None, 0).findings
    assert odd.message.isprintable()


def test_a_comment_with_a_reason_allows_it() -> None:
    for name in ("an OpenShift Template", "an Ansible playbook"):
        text = HOLDERS[name]
        line = next(line for line in text.splitlines() if "apiVersion" in line)
        above = " " * (len(line) - len(line.lstrip())) + "# ksecret:allow a made-up password\n"
        for said in (text.replace(line, above + line), text.replace(line, line + "  # ksecret:allow made up")):
            assert (found(said.encode()), allowed(said.encode())) == ([], 1)
    text = HOLDERS["a ConfigMap"].replace("apiVersion: v1", "apiVersion: v1 # ksecret:allow made up")
    assert (found(text.encode()), allowed(text.encode())) == ([], 1)


HARMLESS = {
    "a CustomResourceDefinition": """\
kind: CustomResourceDefinition
spec:
  versions:
  - schema:
      openAPIV3Schema:
        properties:
          kind: {type: string, default: Secret, enum: [Secret]}
          data: {type: object, description: "kind: Secret, and its data: a map"}
""",
    "a schema's example": """\
properties:
  ref: {default: {kind: Secret, name: x, key: y}}
  kind: {const: Secret}
  data: {type: string}
""",
    "a Role": "kind: Role\nrules:\n- apiGroups: ['']\n  resources: [secrets]\n  verbs: [get]\n  x: [Secret]\n",
    "an ExternalSecret": """\
kind: ExternalSecret
spec:
  secretStoreRef: {kind: Secret, name: x}
  target: {template: {type: Opaque, data: {a: "{{ .x }}"}}}
  data: [{secretKey: a, remoteRef: {key: b}}]
""",
    "a Deployment": """\
kind: Deployment
spec:
  env: [{valueFrom: {secretKeyRef: {kind: Secret, name: x, key: data}}}]
data: {a: b}
""",
    "a Kyverno match": "spec:\n  rules:\n  - match: {any: [{resources: {kinds: [Secret]}}]}\n    x: {kind: Secret}\n",
    "a Kyverno clone": "spec:\n  generate:\n    kind: Secret\n    clone: {namespace: a, name: b}\n    data:\n",
    "a Kyverno pattern": 'rules:\n- validate: {pattern: {kind: Secret, data: {"?*": "?*", a: "*"}}}\n',
    "a parameter of an OpenShift Template": "objects:\n- kind: Secret\n  apiVersion: v1\n  data: {a: '${{A}}'}\n",
    "a Kyverno generate without values": """\
spec:
  generate:
    kind: Secret
    data: {metadata: {labels: {a: b}}, type: Opaque, immutable: true}
""",
    "an Argo Application": "spec:\n  ignoreDifferences:\n  - kind: Secret\n    jsonPointers: [/data/a]\n",
    "a kustomization": "patches:\n- target: {kind: Secret, name: x}\n  path: data.yaml\n",
    "another API's Secret": "objects:\n- apiVersion: secrets.upbound.io/v1beta1\n  kind: Secret\n  data: {a: b}\n",
    "a SealedSecret": "kind: SealedSecret\nspec:\n  template: {kind: Secret, type: Opaque}\n  encryptedData: {a: x}\n",
    "a SecretProviderClass": "spec:\n  secretObjects:\n  - kind: Secret\n    data: [{objectName: a, key: b}]\n",
    "prose": "kind: ConfigMap\ndata:\n  README: |\n    Write `kind: Secret`, then\n    data: (a map) `x: {`\n",
    "a reference beside data": "spec:\n  valuesFrom:\n  - kind: Secret\n    name: x\n    valuesKey: data\n",
    "a template's reference": "{{ if .x }}\nkind: X\nspec: {ref: {kind: Secret, name: a}}\ndata: {a: b}\n{{ end }}\n",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_only_names_a_secret_is_no_finding(text: str) -> None:
    assert found(text.encode()) == []


def test_a_secret_that_kubernetes_would_not_take_for_one() -> None:
    for old, new in (
        ("kind: Secret", "kind: secret"),
        ("kind: Secret", "Kind: SECRET"),
        ("apiVersion: v1", "apiVersion: core/v1"),
        ("apiVersion: v1", "apiVersion: v2"),
    ):
        assert found(SECRET.replace(old, new).encode()) == [(5, "KS010")]
        assert found(("kind: List\nitems:\n- " + within(2, SECRET.replace(old, new))).encode()) == [(7, "KS010")]
    assert found(SECRET.replace("kind: Secret", "kind: secret").replace(MARK, '""').encode()) == []


@pytest.mark.parametrize("field", ["data", "stringData"])
def test_entries_that_lost_their_indentation(field: str) -> None:
    text = SECRET.replace("stringData:\n  ", f"{field}:\n")
    assert found(text.encode()) == [(5, "KS010")]
    assert found(text.replace(MARK, f"|-\n  {MARK}").encode()) == [(5, "KS010")]
    assert found(text.replace(MARK, '""').encode()) == []
    misspelled = text.replace("kind: Secret", "kind: secret")
    for one in (misspelled, f"{misspelled}user: ''\n"):
        assert found(one.encode()) == [(5, "KS010")]
    assert found(json.dumps({"apiVersion": "v1", "kind": "Secret", "password": MARK}).encode()) == [(1, "KS010")]
    assert (
        found(SECRET.split("stringData", maxsplit=1)[0].replace("metadata: {name: db}", "type: Opaque").encode()) == []
    )


@pytest.mark.parametrize("field", ["data", "stringData"])
@pytest.mark.parametrize("blank", [" ", "\t"])
def test_a_manifest_in_a_quoted_text_whose_lines_are_escapes(field: str, blank: str) -> None:
    text = SECRET.replace("stringData", field).replace("kind: ", f"kind:{blank}")
    for line_break in ("\n", "\r\n"):
        quoted = json.dumps({"manifest": text.replace("\n", line_break)})
        assert found(quoted.encode()) == [(1, "KS014")]


@pytest.mark.parametrize("field", ["data", "stringData", "stringdata"])
def test_a_field_that_slipped_into_the_metadata(field: str) -> None:
    text = SECRET.replace("metadata: {name: db}\nstringData:\n  ", f"metadata:\n  name: db\n  {field}:\n    ")
    assert f"\n  {field}:\n" in text
    for one in (text, text + "stringData:\n  b: ''\n"):
        assert found(one.encode()) == [(5, "KS010")]
    assert found(text.replace(f"    password: {MARK}\n", "").encode()) == []


@pytest.mark.parametrize("data", ["{password:n0t-public}", "{'a=n0t-public'}", "\n  password:n0t-public", "n0t-public"])
def test_a_value_that_a_missing_blank_made_a_part_of_the_key(data: str) -> None:
    secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {data}\n"
    assert [code for _, code in found(secret.encode())] == ["KS010"]


def test_hostile_nesting_takes_no_time() -> None:
    """Written out, these are 10^12 nodes."""
    for how in ("{{<<: [{}]}}", "{{kind: Secret, data: {{<<: [{}]}}}}", "{{objects: [{}]}}"):
        lines = (f"- &a{n} " + how.format(",".join([f"*a{n - 1}"] * 10)) for n in range(1, 13))
        assert (
            found("x:\n- &a0 {{}}\n{}\nkind: Template\nobjects: [*a12, Secret]\n".format("\n".join(lines)).encode())
            == []
        )
    chain = "\n".join(f"- &a{n} {{kind: Secret, data: *a{n - 1}}}" for n in range(1, 3000))
    assert found(f"x:\n- &a0 {{data: {{}}}}\n{chain}\n".encode()) == []
