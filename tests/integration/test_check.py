"""What `check` finds in one file, and what it leaves alone; on files that were really sealed, then spoilt."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from secretsvc.operations.check import check_file, needs_sealing
from secretsvc.policy.policies import Policies
from tests import kubesec_support
from tests.integration.check_support import (
    CLEAR,
    CREATED_SECONDS,
    KEY,
    KUBESEC,
    MARK,
    OTHER,
    SEALED,
    SOPS,
    allowed,
    found,
)
from tests.support import CREATED, DATA, LOCK, TOKEN, open_, seal

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = sorted(path for path in (DATA / "refused").iterdir() if path.suffix in (".yaml", ".json"))
REFUSED.remove(DATA / "refused" / "expected.json")


def test_values_under_a_field_that_only_looks_like_one_of_a_secret() -> None:
    only = CLEAR.replace(b"stringData:", b"stringdata:").replace(b"\ndata:", b"\nData:")
    assert found(only) == [(6, "KS010"), (8, "KS010")]
    assert found(SEALED + f"string_data: {{b: {MARK}}}\n".encode()) == [(SEALED.count(b"\n") + 1, "KS010")]
    assert needs_sealing(only, "a.yaml")
    assert found(CLEAR.split(b"\ndata:")[0] + b"\n$patch: delete\nData: {}\nstringdata:\n") == []


def test_values_in_the_clear() -> None:
    assert found(CLEAR) == [(7, "KS001")]
    assert found(SEALED) == []
    assert found(open_(SEALED)) == [(7, "KS001")]


def test_every_document_and_item_is_looked_at() -> None:
    config = b"---\nkind: ConfigMap\napiVersion: v1\ndata: {a: b}\n"
    items = b"\n- ".join(text.rstrip().replace(b"\n", b"\n  ") for text in (SEALED, CLEAR))
    assert found(SEALED + config + b"---\n" + CLEAR) == [(len((SEALED + config).splitlines()) + 8, "KS001")]
    listed = b"apiVersion: v1\nkind: List\nitems:\n- " + items + b"\n"
    assert [code for _, code in found(listed)] == ["KS001"]
    typed = listed.replace(b"kind: List", b"kind: SecretList").replace(b"- apiVersion: v1\n  kind: Secret\n  ", b"- ")
    assert [code for _, code in found(typed)] == ["KS001"]


def test_json() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringData": {"a": MARK}}
    for text in (json.dumps(secret), json.dumps(secret, indent=1), json.dumps({"kind": "List", "items": [secret]})):
        assert [code for _, code in found(text.encode())] == ["KS001"]
        assert found(seal(text.encode())) == []
        assert [code for _, code in found(text.replace("Secret", "S\\u0065cret").encode())] == ["KS001"]


@pytest.mark.parametrize(
    "spelling",
    [
        '"Secret"',
        "'Secret'",
        "Secret # c",
        "!!str Secret",
        "&k Secret",
        '"S\\x65cret"',
        ">-\n  Secret",
        "\n  Secret",
        "Secret\x85",
    ],
)
def test_however_the_kind_is_spelt(spelling: str) -> None:
    codes = [code for _, code in found(CLEAR.replace(b"kind: Secret", f"kind: {spelling}".encode()))]
    assert codes in (["KS001"], ["KS010"])
    assert codes == ["KS001"] or "&" in spelling or "!" in spelling


@pytest.mark.parametrize(
    "text",
    [
        "kind: SealedSecret\nspec: {encryptedData: {a: x}}\n",
        "kind: ExternalSecret\nspec: {target: {template: {data: {a: x}}}}\n",
        "kind: Deployment\nspec: {imagePullSecrets: [{name: x}], env: {valueFrom: {secretKeyRef: {name: x}}}}\n",
        "# Secret\nkind: ConfigMap\ndata: {a: b}\n",
        "kind: HelmRelease\nspec:\n  valuesFrom:\n  - kind: Secret\n    name: x\n",
        "kind: Secret\napiVersion: example.org/v1\ndata: {a: b}\n",
        "kind: Secret\napiVersion: v1\nmetadata: {name: x}\ntype: kubernetes.io/service-account-token\n",
        'kind: Secret\napiVersion: v1\ndata: {a: ""}\nstringData: {}\n',
        "kind: Secret\napiVersion: v1\ndata:\n  a:\n  b: null\n  c: ~ # later\n",
        "kind: Secret\napiVersion: v1\ndata:\nstringData: null\n",
        "",
        "\n",
    ],
)
def test_what_is_no_secret_in_the_clear(text: str) -> None:
    assert found(text.encode()) == []


def test_a_half_sealed_secret() -> None:
    half = re.sub(rf"  b: {TOKEN}".encode(), f"  b: {MARK}".encode(), SEALED)
    assert found(half) == [(9, "KS002")]
    added = SEALED.replace(b"stringData:\n", b'stringData:\n  c: ""\n')
    assert found(added) == [(9, "KS002")], "an empty value does not open either"


def test_a_merge_that_nobody_finished() -> None:
    token = re.search(rf"  a: {TOKEN}\n".encode(), SEALED)
    assert token
    left = SEALED.replace(token[0], token[0] + token[0].replace(b"a:", b"a.CONFLICT:"))
    assert [code for _, code in found(left)] == ["KS012"]


def test_a_merge_of_envelopes_that_nobody_finished() -> None:
    left = SEALED + b"  conflict: |\n    version: 1\n"
    assert [code for _, code in found(left)] == ["KS012"]


def test_tokens_where_none_can_be_opened() -> None:
    orphaned = SEALED[: SEALED.index(b"ksecret:\n")]
    assert found(orphaned) == [(7, "KS003")]
    token = re.search(TOKEN, SEALED.decode())
    assert token
    for length in range(len(token[0]), len(token[0]) - 4, -1):  # wherever base64's groups of three end
        encoded = b64encode(token[0][:length].encode())
        assert found(SEALED.replace(token[0].encode(), encoded)) == [(7, "KS004")]
        assert found(orphaned.replace(token[0].encode(), encoded)) == [(7, "KS004"), (9, "KS003")]


def test_an_annotation_that_repeats_the_data() -> None:
    applied = json.dumps({"kind": "Secret", "data": {"a": "eA=="}})
    notes = f"metadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{applied}'\n"
    assert found(SEALED.replace(b"metadata:\n", notes.encode())) == [(5, "KS005")]
    harmless = notes.replace('"data"', '"labels"')
    assert found(SEALED.replace(b"metadata:\n", harmless.encode())) == []


def test_an_annotation_that_repeats_the_data_where_the_secret_is_refused() -> None:
    notes = (
        'metadata:\n  annotations: {kubectl.kubernetes.io/last-applied-configuration: \'{"data": {"a": "eA=="}}\'}\n'
    )
    refused = SEALED.replace(b"metadata:\n", notes.encode()).replace(b"  name: db\n", b"  name: db\n  name: db\n")
    assert [code for _, code in found(refused)] == ["KS010"]


ENVELOPE = SEALED[: SEALED.index(b"ksecret:\n")].count(b"\n") + 1
SPOILT = {
    "no version": (rb"  version: 1\n", b"", [(ENVELOPE, "KS006")]),
    "a later version": (rb"version: 1\n", b"version: 2\n", [(ENVELOPE, "KS006")]),
    "no seal": (rb"  seal: .*\n", b"", [(ENVELOPE, "KS006")]),
    "one member too many": (rb"  seal: ", b"  more: x\n  seal: ", [(ENVELOPE, "KS006")]),
    "no keys": (rb"  keys:\n.*\n", b"  keys: {}\n", [(ENVELOPE, "KS006")]),
    "a seal that was cut": (rb"(seal: ....).*", rb"\1", [(ENVELOPE, "KS006")]),
    "a seal of other letters": (rb"seal: ....", b"seal: $%$%", [(ENVELOPE, "KS006")]),
    "a wrapped key of other letters": (rb"(    age:\S+: )....", rb"\1$%$%", [(ENVELOPE, "KS006")]),
    "a wrapped key that is empty": (rb"(    age:\S+: ).*", rb'\1""', [(ENVELOPE, "KS006")]),
    "a key without a name": (rb"    age:\S+: ", b"    x: ", [(ENVELOPE, "KS006")]),
    "a time that is none": (rb"created: .*", b"created: yesterday", [(ENVELOPE, "KS006")]),
    "an envelope that is a text": (rb"(?s)ksecret:\n.*", b"ksecret: x\n", [(ENVELOPE, "KS006")]),
    "an alias in it": (rb"sealedFor: .*", b"sealedFor: &x prod/db", [(ENVELOPE + 2, "KS006")]),
    "a token that was cut": (rb"(  a: \S{40}).*", rb"\1", [(7, "KS006")]),
    "a token that was cut where base64 may end": (rb"(  a: \S{51}).*", rb"\1", [(7, "KS006")]),
    "a token of other letters": (rb"  b: ksecret.v1.....", b"  b: ksecret.v1.$%$%", [(9, "KS006")]),
    "another name": (rb"name: db", b"name: bd", [(ENVELOPE, "KS007")]),
    "another namespace": (rb"namespace: prod", b"namespace: dev", [(ENVELOPE, "KS007")]),
    "no namespace": (rb"  namespace: prod\n", b"", [(ENVELOPE - 1, "KS007")]),
}


@pytest.mark.parametrize("name", SPOILT)
def test_envelopes_that_cant_be_right(name: str) -> None:
    pattern, new, expected = SPOILT[name]
    spoilt = re.sub(pattern, new, SEALED)
    assert spoilt != SEALED
    assert found(spoilt) == expected


def test_a_wider_scope_fits_more_places() -> None:
    anywhere = LOCK.seal(CLEAR, scope="any")
    assert found(anywhere.replace(b"name: db", b"name: other")) == []


def test_the_keyset_of_the_policy() -> None:
    rules = "version: 1\nrules:\n- {{path: prod/, namespace: prod, keys: [{}]}}\n- {{keys: ['{}']}}\n"
    assert found(SEALED, rules.format(f"'{KEY}'", OTHER)) == []
    assert found(SEALED, rules.format(f"'{KEY.replace('age1', 'AGE1')}'", OTHER)) == []
    for keys in (f"'{OTHER}'", f"'{KEY}', '{OTHER}'"):
        assert found(SEALED, rules.format(keys, KEY)) == [(ENVELOPE, "KS008")]
    assert found(SEALED.replace(b"namespace: prod", b"namespace: dev"), rules.format(f"'{KEY}'", OTHER)) == [
        (ENVELOPE, "KS007"),
        (ENVELOPE, "KS008"),
    ]
    assert found(SEALED, "version: 1\nrules: [{path: dev/, keys: ['" + OTHER + "']}]\n") == [(ENVELOPE, "KS015")]
    (finding,) = check_file(SEALED, "/r/a", Policies(lambda _: rules.format(KEY, OTHER).encode(), "/r"), 0).findings
    assert finding.message.endswith(f"not sealed to {OTHER}; sealed to {KEY} as well")


def test_the_age_of_a_data_key() -> None:
    assert f'created: "{CREATED}"'.encode() in SEALED
    policy = "version: 1\nrotation: {maxAge: 90d}\n"
    assert found(SEALED, policy, CREATED_SECONDS + 90 * 86400) == []
    assert found(SEALED, policy, CREATED_SECONDS + 90 * 86400 + 1) == [(ENVELOPE, "KS009")]
    assert found(SEALED, "version: 1\n", CREATED_SECONDS * 2) == []


def test_a_broken_policy_is_no_finding() -> None:
    from secretsvc.errors import InputError

    with pytest.raises(InputError, match="unknown key"):
        found(SEALED, "version: 1\nruls: []\n")
    assert found(CLEAR, "version: 1\nruls: []\n") == [(7, "KS001")], "nothing sealed, so nothing to compare"


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.name)
def test_no_refused_manifest_goes_unseen(path: Path) -> None:
    """Whatever sealing refuses is told, except where there is no value that could leak."""
    harmless = {"plain-null.yaml", "plain-tilde.yaml", "null-value.json"}
    assert bool(found(path.read_bytes())) == (path.name not in harmless)


LISTED = "{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {b: n0t-public}}"
REST = "metadata: {name: a}\nstringData: {b: n0t-public}\n"
HIDDEN = {
    "base64 for kind": f"apiVersion: v1\nkind: !!binary U2VjcmV0\n{REST}",
    "base64 for apiVersion": f"apiVersion: !!binary djE=\nkind: Secret\n{REST}",
    "an empty group": f"apiVersion: /v1\nkind: Secret\n{REST}",
    "a word over two lines": f'apiVersion: v1\nkind: "Sec\\\n  ret"\n{REST}',
    "the anchor is a key": f"x: {{&k Secret : y}}\napiVersion: v1\nkind: *k\n{REST}",
    "the anchor ends a list": f"x: [&k Secret]\napiVersion: v1\nkind: *k\n{REST}",
    "a list of another kind": f"apiVersion: v1\nkind: ConfigMapList\nitems: [{LISTED}]\n",
    "repeated items": f"kind: List\nitems: []\nitems: [{LISTED}]\n",
    "merged items": f"kind: List\n<<: {{items: [{LISTED}]}}\n",
    "an alias for items": f"x: &k items\nkind: List\n*k : [{LISTED}]\n",
    "an empty kind in a typed list": 'items: [{kind: "", metadata: {name: a}, data: {b: aGk=}}]\nkind: SecretList\n',
}
HIDDEN_AND_REFUSED = {
    "behind a comment": f"apiVersion: v1\nkind: # x\n  Secret\n{REST}data: {{c: }}\n".encode(),
    "in a block": f"apiVersion: v1\nkind: >-\n  Secret\n{REST}data: {{c: }}\n".encode(),
    "an escape": f'apiVersion: v1\nkind: "S\\x65cret"\n{REST}data: {{c: }}\n'.encode(),
    "an escape in its key": f'apiVersion: v1\n"k\\x69nd": Secret\n{REST}data: {{c: }}\n'.encode(),
    "merged from a list": b"x: &all\n  stringData: {b: n0t-public}\nkind: Secret\n<<: [*all]\ndata: {c: }\n",
    "an alias where nothing is read": b"x: &k Secret\nkind: *k\ndata: {a: n0t-public\n",
    "in a field's key": b'apiVersion: v1\nkind: Secret\n"string\\x44ata":\n  b: n0t-public\n  c:\n',
    "beside a refused one": f"kind: Secret\ndata: {{c: }}\n---\nkind: # x\n  Secret\n{REST}".encode(),
    "beside a malformed one": f"kind: # x\n  Secret\n{REST}---\n[\n".encode(),
    "in what looks like a template": f"# {{{{ x }}}}\nkind: # x\n  Secret\n{REST}data: {{c: }}\n".encode(),
    "in UTF-16": f"kind: # x\n  Secret\n{REST}".encode("utf-16"),
    "an escape in UTF-16": f'kind: "S\\x65cret"\n{REST}'.encode("utf-16"),
    "an escape in Latin-1": b'{"kind":"\\u0053ecret","x":"\xff","stringData":{"b":"n0t-public"}}',
    "an escape in a deep text": b'{"kind":"\\u0053ecret","x":' + b"[" * 80 + b"]" * 80 + b',"data":{"b":"n0t-public"}}',
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_what_kubectl_reads_as_a_secret_is_found_and_sealed(text: str) -> None:
    assert [code for _, code in found(text.encode())] == ["KS001"]
    sealed = seal(text.encode())
    assert MARK.encode() not in sealed
    assert open_(sealed) == text.encode()


@pytest.mark.parametrize("data", HIDDEN_AND_REFUSED.values(), ids=HIDDEN_AND_REFUSED)
def test_what_is_refused_is_told_however_it_is_spelled(data: bytes) -> None:
    assert [code for _, code in found(data)] == ["KS010"]


@pytest.mark.parametrize("how", ["{{<<: [{}]}}", "{{kind: List, items: [{}]}}"], ids=["merged", "listed"])
def test_aliases_of_aliases_take_no_time(how: str) -> None:
    """Written out, these are 10^12 nodes."""
    lines = (f"- &a{n} " + how.format(",".join([f"*a{n - 1}"] * 10)) for n in range(1, 13))
    text = "x:\n- &a0 {{}}\n{}\n<<: *a12\nkind: List\nitems: [*a12]\ny: Secret\n".format("\n".join(lines))
    assert found(text.encode()) == []


def test_a_long_chain_of_aliases_is_followed() -> None:
    lines = "\n".join(f"- &a{n} {{kind: List, items: [*a{n - 1}]}}" for n in range(1, 3000))
    assert found(f"x:\n- &a0 {{items: [{LISTED}]}}\n{lines}\nitems: [*a2999]\n".encode()) == [(2, "KS001")]


def test_a_kind_that_is_said_often_takes_no_time() -> None:
    text = b"{{\ndata:\n" + b"kind: Secret\n" * 20_000
    assert found(text) == []


@pytest.mark.parametrize("start", ["--- |\n", "|\n", "# why\n--- >-\n"])
def test_a_document_that_is_nothing_but_a_text_is_told_where_its_text_does_not_parse(start: str) -> None:
    """To YAML all of that is fine, and no mapping."""
    for rest in ("  data: {a: n0t-public\n", "  data:\n    a: n0t-public\n   b: c\n"):
        assert [code for _, code in found(f"{start}  kind: Secret\n{rest}".encode())] == ["KS010"]


def test_files_that_dont_parse() -> None:
    broken = CLEAR.replace(b"  b: ", b'  b: "')
    assert found(broken) == [(9, "KS010")]
    assert found(SEALED.replace(b"metadata:", b"metadata: {")) == []  # all that is seen is sealed
    assert found(CLEAR.replace(b"metadata:", b"metadata: {")) != []
    assert found(CLEAR.decode().encode("utf-16")) == [(1, "KS010")]
    assert found(CLEAR.replace(b"name: db", b"name: \xff")) == [(4, "KS010")]
    assert found(b"a: [\n---\nkind: ConfigMap # no Secret\n") == []
    assert found(b'{"kind": "Secret", "data": {"a": "' + MARK.encode()) == [(1, "KS010")]


def test_a_comment_with_a_reason_allows_a_secret() -> None:
    above, behind = b"# ksecret:allow made up\n" + CLEAR, CLEAR.replace(b"v1\n", b"v1  # ksecret:allow made up\n", 1)
    marker = b"--- # ksecret:allow made up\n" + CLEAR
    for text in (above, behind, marker):
        assert (found(text), allowed(text)) == ([], 1)
        assert not needs_sealing(text, "a.yaml")
    two = above + b"---\n" + CLEAR
    assert (found(two), allowed(two)) == ([(18, "KS001")], 1), "one Secret only"


@pytest.mark.parametrize(
    "text",
    [
        b"# ksecret:allow\n" + CLEAR,
        b"# ksecret:allowed x\n" + CLEAR,
        b"# ksecret:allow x\n\n" + CLEAR,
        b"a: b # ksecret:allow x\n---\n" + CLEAR,
        CLEAR + b"# ksecret:allow x\n",
        b"kind: List\nitems: # ksecret:allow x\n- " + CLEAR.rstrip().replace(b"\n", b"\n  "),
        CLEAR.replace(b"metadata:\n", b"metadata: # ksecret:allow x\n"),
    ],
)
def test_other_comments_allow_nothing(text: bytes) -> None:
    assert [code for _, code in found(text)] == ["KS001"]
    assert needs_sealing(text, "a.yaml")


def test_json_has_no_comments() -> None:
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"annotations": {"a": "b # ksecret:allow c"}}}
    text = json.dumps(secret | {"stringData": {"a": MARK}}).encode()
    assert ([code for _, code in found(text)], allowed(text)) == (["KS001"], 0)


def test_base64_with_its_tag_is_a_value_in_the_clear_as_any_other() -> None:
    """As `encrypt --cleartext` takes it."""
    assert found(CLEAR.replace(b"  a: ", b"  a: !!binary ")) == [(7, "KS001")]


def test_a_comment_on_one_document_of_a_refused_file_says_nothing_of_the_others() -> None:
    refused = CLEAR.replace(b"  b: ", b"  c:\n  b: ")
    text = b"# ksecret:allow made up\n" + refused + b"---\n" + refused
    assert ([code for _, code in found(text)], allowed(text)) == (["KS010"], 1)
    assert found(text.replace(b"---\n", b"---\n# ksecret:allow made up, too\n")) == []


def test_only_what_can_be_sealed_needs_it() -> None:
    assert needs_sealing(CLEAR, "a.yaml")
    assert needs_sealing(re.sub(rf"  b: {TOKEN}".encode(), b"  b: x", SEALED), "a.yaml")
    assert needs_sealing(CLEAR.replace(b"  b: ", b'  b: "'), "a.yaml"), "its own error tells more"
    for text in (SEALED, KUBESEC.encode(), b"a: b\n", SEALED.replace(b"version: 1", b"version: 2")):
        assert not needs_sealing(text, "a.yaml")


@pytest.mark.parametrize("text", [SEALED, CLEAR], ids=["sealed", "clear"])
def test_a_file_that_a_policy_with_rules_covers_by_none(text: bytes) -> None:
    """What `encrypt` falls back to there is whatever key is at hand: field case no-rule-fits."""
    line, rest = (7, [(7, "KS001")]) if text == CLEAR else (ENVELOPE, [])
    for selector in ("path: dev/**", "namespace: dev", "name: other", "path: prod/**, name: other"):
        rule = f"version: 1\nrules: [{{{selector}, keys: ['{KEY}']}}]\n"
        assert sorted(found(text, rule)) == [*rest, (line, "KS015")]
    for policy in (
        f"version: 1\nrules: [{{path: dev/**, keys: ['{OTHER}']}}, {{keys: ['{KEY}']}}]\n",
        "version: 1\nrotation: {maxAge: 90000w}\n",
        "version: 1\nrules: []\n",
        "",
    ):
        assert found(text, policy) == rest


def test_a_secret_without_values_and_one_of_placeholders_need_no_rule() -> None:
    rule = f"version: 1\nrules: [{{path: dev/**, keys: ['{KEY}']}}]\n"
    assert found(CLEAR.split(b"\ndata:")[0] + b"\n", rule) == []
    assert found(CLEAR.split(b"\ndata:")[0] + b"\nstringData: {a: '${A}'}\n", rule) == []
    assert found(SOPS.encode(), rule) == []


def test_a_broken_policy_keeps_no_value_in_the_clear_from_being_told() -> None:
    assert found(CLEAR, "version: 1\nruls: []\n") == [(7, "KS001")]


COMMENTS = {
    "  # b: hunter2": True,
    "  #b: hunter2": True,
    "  # - b: 'hunter2'": True,
    "  # b = hunter2": True,
    "  # a: aHVudGVyMg==": True,
    "  # b: swordfish": True,
    "  # b:": False,
    "  # b: the password of the database": False,
    "  # b: <password>": False,
    "  # b: {{ .Values.b }}": False,
    "  # b: ${B}": False,
    "  # b: changeme": False,
    "  # b: xxxxxx": False,
    "  # b: ...": False,
    "  # b: see-vault": False,
    "  # b: https://wiki.example/how": False,
    "  # b: ksecret.v1.AAAA": False,
    "  # c: hunter2": False,
    "  # note that b: hunter2": False,
}


@pytest.mark.parametrize(("comment", "leaks"), COMMENTS.items(), ids=COMMENTS)
def test_a_comment_that_reads_as_an_entry_with_a_value(comment: str, leaks: bool) -> None:
    for sealed in (SEALED, kubesec_support.seal(CLEAR)):
        text = sealed.replace(b"stringData:\n", f"stringData:\n{comment}\n".encode())
        line = text[: text.index(b"stringData:\n")].count(b"\n") + 2
        assert found(text) == ([(line, "KS005")] if leaks else [])
        assert not found(b"# ksecret:allow it is an old one's\n" + text)
    assert not [
        one for one in found(CLEAR.replace(b"stringData:", f"stringData:\n{comment}".encode())) if "5" in one[1]
    ]


def test_a_comment_belongs_to_the_secret_above_it() -> None:
    other = seal(CLEAR.replace(b"name: db", b"name: other").replace(b"  b: ", b"  c: "))
    both = SEALED + b"---\n" + other.replace(b"stringData:\n", b"stringData:\n  # b: hunter2\n  # c: hunter2\n")
    assert found(both) == [(SEALED.count(b"\n") + 11, "KS005")]


COPY = json.dumps({"kind": "Secret", "data": {"a": b64encode(MARK.encode()).decode()}})
COPIES = {
    "kapp.k14s.io/original": COPY,
    "kapp.k14s.io/original-diff": "- path: /data",
    "app.oam.dev/last-applied-configuration": f"[{COPY}]",
    "objectset.rio.cattle.io/applied": b64encode(gzip.compress(COPY.encode())).decode(),
}


@pytest.mark.parametrize(("name", "copy"), COPIES.items(), ids=COPIES)
def test_copies_of_the_data_that_other_tools_keep(name: str, copy: str) -> None:
    notes = f"metadata:\n  annotations:\n    {name}: {json.dumps(copy)}\n".encode()
    assert found(SEALED.replace(b"metadata:\n", notes)) == [(5, "KS005")]
    as_json = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "annotations": {name: copy}}}
    assert found(json.dumps(as_json | {"data": {}}, indent=1).encode()) == [(7, "KS005")]
