"""What `check` finds in templates before they are rendered: values of their own, however they are written."""

from __future__ import annotations

import json
import time

import pytest

from secretsvc.operations.check import check_file
from tests.integration.check_support import allowed, found

TEMPLATE = """\
{{- if .Values.enabled }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "x.fullname" . }}
  labels:
    {{- include "x.labels" . | nindent 4 }}
type: Opaque
data:
  {{- if .Values.a }}
  password: {{ .Values.password | b64enc | quote }}
  {{- end }}
  {{- range $k, $v := .Values.x }}
  {{ $k }}: {{ $v | b64enc }}
  {{- end }}
  quoted: "{{ .x }}"
  empty: ""
  # literal: in a comment
  block: |
    {{ .y }}
  sealed: ksecret.v1.AAAA
  by_kubesec: AAAA.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA==
{{- end }}
"""
LITERALS = ["  a: aHVudGVyMg==", "  'a': hunter2 # c", '  a: {{ "hunter2" | b64enc }}', "  a: {{ .x }}hunter2"]
LITERALS += ["  a: |\n    {{ .x }}\n    hunter2", "  a: ${NAME:-hunter2}", "stringData: {a: hunter2}"]
LITERALS += ["stringData:\n{{- if .x }}\n    a: hunter2\n{{- end }}", "  {{ .k }}: hunter2"]


def test_a_template_without_values_of_its_own() -> None:
    assert found(TEMPLATE.encode()) == []
    assert found((TEMPLATE + "---\nkind: ConfigMap\ndata:\n  a: b\n").encode()) == []
    assert found((TEMPLATE.replace("data:", "{{- with .Values.d }}\ndata: {{ toYaml . | nindent 2 }}")).encode()) == []


def test_a_templates_other_items_may_have_values() -> None:
    secret = "- kind: Secret\n  name: {{ .x }}\n  data:\n    a: {{ .y }}\n"
    other = "- kind: ConfigMap\n  data:\n    a: b\n"
    for items in (secret + other, other + secret, other + secret + other):
        assert found(f"kind: List\nitems:\n{items}".encode()) == []
        assert found(f"kind: List\nitems:\n{items.replace('{{ .y }}', 'hunter2')}".encode()) != []


@pytest.mark.parametrize("literal", LITERALS)
def test_a_template_with_a_value_of_its_own(literal: str) -> None:
    text = TEMPLATE.replace("{{- end }}\n", "", 0).removesuffix("{{- end }}\n") + literal + "\n{{- end }}\n"
    ((line, code),) = found(text.encode())
    assert code == "KS011"
    assert "hunter2" in text.splitlines()[line - 1] or "aHVudGVyMg" in text.splitlines()[line - 1]
    listed = "kind: List\nitems:\n- " + text.replace("\n", "\n  ")
    assert [code for _, code in found(listed.encode())] == ["KS011"]


@pytest.mark.parametrize("value", ["{{ .Values.x }}", "{{ .a }}{{ .b }}", "${NAME}", " {{- .x -}} ", "{{ x `y` }}"])
def test_placeholders_in_yaml_that_parses(value: str) -> None:
    text = f"kind: Secret\napiVersion: v1\nstringData:\n  a: {json.dumps(value)}\n"
    assert found(text.encode()) == []


@pytest.mark.parametrize("value", ["x{{ .x }}", '{{ "hunter2" }}', "{{ `hunter2` | b64enc }}", "${X:-hunter2}", "$x"])
def test_values_with_placeholders_in_them(value: str) -> None:
    text = f"kind: Secret\napiVersion: v1\nstringData:\n  a: {json.dumps(value)}\n"
    assert found(text.encode()) == [(4, "KS001")]


@pytest.mark.parametrize(
    "value",
    [
        "${X:-}",
        "${X-}",
        '${X:=""}',
        "${X:=''}",
        "${X:?must be set}",
        "${X?}",
        "$X",
        "${X:-$Y}",
        "${X:-${Y:-}}",
        '{{ default "" .x }}',
        '{{ .x | default "" | quote }}',
        '{{ required "say .x" .x }}',
        '{{ index .Values "default" "password" }}',
        '{{ include "app.password" . | b64enc }}',
        '{{ printf "%s" .x }}',
        '{{ printf "hunter2-%s" .x }}',
        "{{ or .x .y }}",
        "${{ secrets.PASSWORD }}",
        '{{ include "lookup" (dict "key" "tls.crt" "defaultValue" (coalesce .x $ca.Cert) "context" $) }}',
        "{{ lookup('env', 'PASSWORD') }}",
        '{{/* default "hunter2" */}}',
        '{{ if eq .x "hunter2" }}{{ .y }}{{ end }}',
    ],
)
def test_a_default_that_is_empty_and_a_name_are_no_values(value: str) -> None:
    text = f"kind: Secret\napiVersion: v1\nstringData:\n  a: {json.dumps(value)}\n"
    assert found(text.encode()) == []
    assert found(f"{{{{ if .z }}}}\nkind: Secret\nstringData:\n  a: {value}\n{{{{ end }}}}\n".encode()) == []


@pytest.mark.parametrize(
    "value",
    [
        "${X:-hunter2}",
        "${X-hunter2}",
        "${X:=hunter2}",
        '${X:="hunter2"}',
        "${X:-${Y:-hunter2}}",
        "$X-hunter2",
        '{{ default "hunter2" .x }}',
        '{{ .x | default "hunter2" }}',
        "{{ .x | default `hunter2` | b64enc }}",
        '{{ .x | default ("hunter2" | b64enc) }}',
        "{{ x | default('hunter2') }}",
        "{{ .x | default 123456 }}",
        '{{ coalesce .x .y "hunter2" }}',
        '{{ ternary "hunter2" .x .y }}',
        '{{ quote "hunter2" }}',
        '{{ or .x "hunter2" }}',
        '{{ ternary .x "hunter2" .y }}',
        '{{ printf "hunter2" | b64enc }}',
    ],
)
def test_a_default_that_is_not_empty_is_a_value(value: str) -> None:
    text = f"kind: Secret\napiVersion: v1\nstringData:\n  a: {json.dumps(value)}\n"
    assert found(text.encode()) == [(4, "KS001")]
    assert found(f"{{{{ if .z }}}}\nkind: Secret\nstringData:\n  a: {value}\n{{{{ end }}}}\n".encode()) == [
        (4, "KS011")
    ]
    assert found(f"{{{{ if .z }}}}\nkind: Secret\nstringData:\n  a: |\n    {value}\n".encode()) == [(5, "KS011")]


@pytest.mark.parametrize(
    "text",
    [
        "{{ if x }}\n{kind: Secret, metadata: {name: {{ .x }}-db}, stringData: {a: hunter2}}\n{{ end }}\n",
        'kind: {{ .kind | default "Secret" }}\nstringData:\n  a: hunter2\n{{ x }}\n',
        "kind: {{ if .x }}Secret{{ else }}ConfigMap{{ end }}\ndata:\n  a: hunter2\n{{ x }}\n",
        "{{ x }}\nkind: >-\n  Secret\ndata:\n  a: hunter2\n",
        '{{ x }}\n"k\\x69nd": Secret\ndata:\n  a: hunter2\n',
        "{{ x }}\nkind: Secret\n? stringData\n: a: hunter2\n",
        "{{ x }}\nx: &k Secret\nkind: *k\ndata:\n  a: hunter2\n",
        "{{ x }}\nx: &d\n  a: hunter2\nkind: Secret\ndata:\n  <<: *d\n",
        "{{ x }}\nkind: SecretList\nitems:\n- data:\n    a: hunter2\n",
        "{{ x }}\nkind: Secret\nmetadata:\n  name: x\nstringData:\npassword: hunter2\n",
    ],
)
def test_in_a_template_too_a_secret_is_found_however_it_is_spelled(text: str) -> None:
    ((line, code),) = found(text.encode())
    assert code == "KS011"
    assert "hunter2" in text.splitlines()[line - 1]


@pytest.mark.parametrize(
    "text",
    [
        "  # why\n{{ if x }}\nfoo: {kind: Secret, data: {a: hunter2\n{{ end }}\n",
        "# why\n{{ if x }}\nfoo: {kind: Secret, data: {a: hunter2\n{{ end }}\n",
        "\n{{ x }}\nkind: Secret\n\tdata: {a: b\n: [\n",
        '\n{"kind":"Secret","data":{"a":"{{x}}b"}, {{ y }}',
    ],
)
def test_where_no_value_can_be_pointed_at_the_documents_first_line_is_told(text: str) -> None:
    assert found(text.encode()) == [(2, "KS011")]


UNREADABLE = "{{ if .x }}\nkind: List\nitems:\n# what follows\n"
SECRETS = {
    "the kind first": "- kind: Secret\n  name: {{ .n }}\n  data:\n    a: VALUE\n",
    "the kind last": "- data:\n    a: VALUE\n  name: {{ .n }}\n  kind: Secret\n",
    "the kind between": "- name: {{ .n }}\n  kind: Secret\n\n  {{- if .y }}\n  data:\n    a: VALUE\n  {{- end }}\n",
    "indented": "  - name: {{ .n }}\n    kind: Secret\n    data:\n      a: VALUE\n",
    "far from its dash": "-   name: {{ .n }}\n    kind: Secret\n    data:\n      a: VALUE\n",
    "a block": "- kind: Secret\n  data:\n    a: |\n      VALUE\n",
}
OTHER_ITEM = "- kind: ConfigMap\n  data:\n    a: b\n"


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_of_an_item_that_no_parser_takes_its_own_lines_tell(secret: str) -> None:
    """The last line keeps YAML from reading it, whatever is put in for the placeholders."""
    other = OTHER_ITEM if secret.startswith("-") else OTHER_ITEM.replace("- ", "  - ").replace("\n  ", "\n    ")
    for items in (secret, secret + other, other + secret, other + secret + other):
        text = f"{UNREADABLE}{items}x: [\n{{{{ end }}}}\n"
        assert found(text.replace("VALUE", "{{ .y }}").encode()) == []
        clear = text.replace("VALUE", "hunter2")
        line = clear[: clear.index("hunter2")].count("\n") + 1
        assert found(clear.encode()) == [(line, "KS011")]
        mark = secret.lstrip().partition("\n")[0]
        said = clear.replace(mark, f"{mark} # ksecret:allow made up")
        assert (found(said.encode()), allowed(said.encode())) == ([], 1)


def test_the_data_of_another_mapping_is_not_taken_for_a_secrets() -> None:
    secret, other = "a:\n  kind: Secret\n  data: {{ .x }}\n", "b:\n  data:\n    c: d\n"
    for text in (secret + other, other + secret, "kind: Secret\ndata: {{ .x }}\n"):
        assert found(f"{text}x: [\n{{{{ .y }}}}\n".encode()) == [], text
        assert found(f"{text.replace('{{ .x }}', '{a: hunter2}')}x: [\n{{{{ .y }}}}\n".encode()) != []


def test_a_secret_behind_more_of_them_than_are_looked_at_is_told_all_the_same() -> None:
    """Each line is one of all the mappings left of it: looked at for each, many of them would take too long."""
    lines = "".join(f"{' ' * n}kind: Secret\n{' ' * n}data: {{{{ .x }}}}\n" for n in range(100, -1, -1))
    assert [code for _, code in found(f"{lines}  a: hunter2\n".encode())] == ["KS011"]


def test_a_variable_that_holds_a_literal_is_a_value() -> None:
    text = "{{ $pw := VALUE }}\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a: {{ $pw | quote }}\n"
    for value in ('"hunter2"', 'default "hunter2" .x', '.x | default "hunter2"'):
        assert found(text.replace("VALUE", value).encode()) == [(5, "KS011")]
    for value in (".x", '""', 'include "x" .', 'printf "%s" .x'):
        assert found(text.replace("VALUE", value).encode()) == []


def test_a_comment_allows_a_document_that_does_not_parse() -> None:
    text = b"# ksecret:allow a chart's fixture\n" + TEMPLATE.encode().replace(b'empty: ""', b"a: hunter2")
    assert (found(text), allowed(text)) == ([], 1)
    inside = text.replace(
        b"# ksecret:allow a chart's fixture\n{{- if .Values.enabled }}\n", b"{{- if .x }}\n# ksecret:allow x\n"
    )
    assert (found(inside), allowed(inside)) == ([], 1)
    assert found(inside.replace(b"allow x", b"allow")) == [(18, "KS011")]


def test_a_large_file_is_checked_in_time() -> None:
    lines = "".join(f"  key-{number}: {{{{ .Values.x }}}}\n" for number in range(20_000))
    text = TEMPLATE.replace("type: Opaque\n", f"type: Opaque\nstringData:\n{lines}").encode()
    start = time.monotonic()
    assert found(text) == []
    assert time.monotonic() - start < 10


def test_a_file_that_no_parser_takes_and_that_is_too_large_to_be_looked_through_is_a_finding() -> None:
    fine = TEMPLATE + "# filler\n" * 60_000
    assert found(fine.encode()) == []
    assert [finding.code for finding in check_file((fine * 2).encode(), "f.yaml", None, 0).findings] == ["KS010"]


def test_a_file_of_more_nodes_than_are_taken_is_a_finding_without_a_second_look() -> None:
    many = b"kind: Secret\nx: [" + b"a," * 300_000 + b"a]\n"
    assert [finding.code for finding in check_file(many, "f.yaml", None, 0).findings] == ["KS010"]
