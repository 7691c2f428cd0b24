"""`patch` in both formats: what is named changes, nothing else does, and the result opens to what is expected."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

import pytest

from secretsvc.errors import ManifestError
from secretsvc.formats.ksecret import envelope as ksecret
from secretsvc.manifest.reader import read
from secretsvc.operations.patch import patch_manifest
from secretsvc.operations.request import Changes
from tests.kubesec_support import ALL, GCP, PGP, Want, independent, lines, open_, seal, texts

FORMATS = ["ksecret", "kubesec"]
LATER = "2027-01-02T03:04:05Z"
PLAIN = """\
# top
apiVersion: v1
kind: Secret
metadata:
  name: db   # behind
  namespace: prod
  labels:
    app: web  # a label
  annotations:
    note: 'old'
type: Opaque
data:
  # over a
  a: YWE=   # behind a
  b: "YmI="

  c: Y2M=
# between
stringData:
  s: text
  block: |
    one
    two
# end
"""
BLOCK = "  block: |\n    one\n    two\n"


def sealed(format_: str, plain: str = PLAIN, *keys: Any) -> bytes:
    return seal(plain, Want(keys or (GCP,), format=format_))


def patch(before: bytes, want: Want = Want(), which: str = "", **changes: Any) -> bytes:  # noqa: B008
    request = want._replace(created=LATER, format="").request
    return patch_manifest(before, Changes(**changes), request, ALL, which).data


def changed(before: bytes, after: bytes) -> list[str]:
    """The lines that differ, as they are afterwards; both have as many."""
    pairs = zip(before.decode().split("\n"), after.decode().split("\n"), strict=True)
    return [new for old, new in pairs if old != new]


def opens_to(data: bytes, expected: str) -> None:
    """Whether it holds the same identity and values; in kubesec's format for the other reader too."""
    opened = open_(data)
    assert texts(opened) == texts(expected)
    if lines(data):
        assert independent(data) == texts(expected)
    ours, theirs = read(opened).secrets[0], read(expected.encode()).secrets[0]
    assert (ours.namespace, ours.name, ours.type) == (theirs.namespace, theirs.name, theirs.type)


def same_around(opened: bytes, expected: str, format_: str) -> None:
    """Byte for byte; in kubesec's format the block comes back between quotes."""
    if format_ == "kubesec":
        expected = expected.replace(BLOCK, '  block: "one\\ntwo\\n"\n').replace('"YmI="', "YmI=")
    assert opened.decode() == expected


# -- one value


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        ("data", "a", b"new"),
        ("data", "b", b""),
        ("data", "c", bytes(range(256))),
        ("string_data", "s", "new: # text"),
        ("string_data", "s", ""),
        ("string_data", "s", "several\nlines\n"),
        ("string_data", "block", "é 🔐"),
    ],
)
def test_one_value_changes_its_line_and_the_mac_alone(format_: str, field: str, key: str, value: Any) -> None:
    before = sealed(format_)
    after = patch(before, **{field: {key: value}})
    old, new = (data.decode().split("\n") for data in (before, after))
    gone, come = ([line for line in one if line not in other] for one, other in ((old, new), (new, old)))
    block = [f"  {key}: |", "    ksecret.v1."] if key == "block" and format_ == "ksecret" else [f"  {key}: "]
    mac = ["# kubesec:mac:"] * (format_ == "kubesec")
    for lines_ in (gone, come):
        assert len(lines_) == len(block + mac)
        assert all(map(str.startswith, lines_, block + mac))
    text = value if field == "string_data" else b64encode(value).decode()
    place = ("data" if field == "data" else "stringData", key)
    assert texts(open_(after)) == texts(PLAIN) | {place: text}
    if lines(after):
        assert independent(after) == texts(PLAIN) | {place: text}
        assert lines(after)[:-1] == lines(before)[:-1]


@pytest.mark.parametrize("format_", FORMATS)
def test_everything_around_a_changed_value_stays(format_: str) -> None:
    after = patch(sealed(format_), data={"a": b"new"})
    same_around(open_(after), PLAIN.replace("YWE=", "bmV3"), format_)


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_value_changes_no_byte(format_: str) -> None:
    before = sealed(format_)
    assert patch(before, data={"a": b"aa", "b": b"bb"}, string_data={"s": "text", "block": "one\ntwo\n"}) == before
    assert patch(before) == before
    assert patch(before, data={"missing": None}, string_data={"a": None}) == before
    assert patch(before, labels={"app": "web"}, metadata={"name": "db", "namespace": "prod"}) == before


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_bytes_in_another_spelling_of_base64_change_nothing(format_: str) -> None:
    before = sealed(format_, PLAIN.replace("a: YWE=", "a: YWF="))
    assert patch(before, data={"a": b"aa"}) == before


@pytest.mark.parametrize("format_", FORMATS)
def test_values_are_added_at_their_fields_end(format_: str) -> None:
    before = sealed(format_)
    after = patch(before, data={"new.key": b"x"}, string_data={"more": "y"})
    same_around(
        open_(after),
        PLAIN.replace("  c: Y2M=\n", "  c: Y2M=\n  new.key: eA==\n").replace(BLOCK, BLOCK + '  more: "y"\n'),
        format_,
    )
    opens_to(after, PLAIN.replace("  c:", "  new.key: eA==\n  c:").replace("  s:", "  more: 'y'\n  s:"))
    assert {place: text for place, text in texts(after).items() if place in texts(before)} == texts(before)


HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n"
DATA, TEXT = "data:\n  a: YWE=\n", "stringData:\n  s: t\n"


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("fields", "value", "expected"),
    [
        (DATA, b"x", DATA + "  new: eA==\n"),
        (TEXT, b"x", TEXT + "  new: x\n"),
        (DATA + TEXT, b"x", DATA + "  new: eA==\n" + TEXT),
        (TEXT + DATA, b"x", TEXT + DATA + "  new: eA==\n"),
        ("data: {}\n" + TEXT, b"x", "data: {}\n" + TEXT + "  new: x\n"),
        (TEXT, b"\xff", TEXT + "data:\n  new: /w==\n"),
        (TEXT, b"a\0b", TEXT + "data:\n  new: YQBi\n"),
    ],
    ids=["data", "stringData", "both", "both, data last", "data is empty", "no text", "NUL"],
)
def test_a_new_entry_goes_where_the_others_are(format_: str, fields: str, value: bytes, expected: str) -> None:
    before = sealed(format_, HEAD + fields)
    assert open_(patch(before, values={"new": value})).decode() == HEAD + expected


@pytest.mark.parametrize("format_", FORMATS)
def test_a_new_entry_goes_under_string_data_where_that_is_asked_for(format_: str) -> None:
    after = patch(sealed(format_, HEAD + DATA), values={"new": b"x"}, prefer_text=True)
    assert open_(after).decode() == HEAD + DATA + "stringData:\n  new: x\n"


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("field", "key", "gone"),
    [
        ("data", "a", "  a: YWE=   # behind a\n"),
        ("data", "b", '  b: "YmI="\n'),
        ("data", "c", "  c: Y2M=\n"),
        ("string_data", "s", "  s: text\n"),
        ("string_data", "block", BLOCK),
    ],
)
def test_a_value_away_takes_its_lines_alone(format_: str, field: str, key: str, gone: str) -> None:
    after = patch(sealed(format_), **{field: {key: None}})
    opens_to(after, PLAIN.replace(gone, ""))
    same_around(open_(after), PLAIN.replace(gone, ""), format_)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_fields_last_value_takes_the_field_with_it(format_: str) -> None:
    after = patch(sealed(format_), string_data={"s": None, "block": None})
    expected = PLAIN.replace("stringData:\n  s: text\n" + BLOCK, "")
    opens_to(after, expected)
    same_around(open_(after), expected, format_)
    back = patch(after, string_data={"s": "text"})
    opens_to(back, expected + "stringData:\n  s: text\n")
    if format_ == "kubesec":
        assert lines(after)[0] == "# kubesec:v:3"
        assert lines(back)[0] == "# kubesec:v:4"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_secret_may_lose_all_values_and_gain_one(format_: str) -> None:
    before = sealed(format_, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a: YWE=\n")
    empty = patch(before, data={"a": None})
    assert open_(empty) == b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n"
    assert (
        open_(patch(empty, data={"a": b"aa"}))
        == b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a: YWE=\n"
    )
    assert open_(patch(empty, Want(add=(PGP,)))) == open_(empty)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_secret_without_values_left_still_follows_its_name_and_keyset(format_: str) -> None:
    before = sealed(format_, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  a: YWE=\n")
    after = patch(before, Want(add=(PGP,)), data={"a": None}, metadata={"name": "other"})
    assert open_(after) == b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: other\n"
    assert str(PGP).encode() in after


@pytest.mark.parametrize("format_", FORMATS)
def test_a_removed_and_an_added_and_a_changed_value_in_one_call(format_: str) -> None:
    after = patch(sealed(format_), data={"a": None, "b": b"new", "d": b"d"}, string_data={"s": None, "t": "t"})
    expected = PLAIN.replace("  a: YWE=   # behind a\n", "").replace("YmI=", "bmV3").replace("  s: text\n", "")
    opens_to(after, expected.replace("  c: ", "  d: ZA==\n  c: ").replace("stringData:\n", "stringData:\n  t: t\n"))


EXPLICIT = """\
apiVersion: v1
kind: Secret
metadata:
  ? name  # c
  : x
  ? labels
  # d
  :
? data # e
# f
: ? a  # g
  # h
  : YWE=
  ? b
  : YmI=
  z: eg==
stringData: {? a : x, ? b : z}
"""


@pytest.mark.parametrize("format_", FORMATS)
def test_keys_that_are_marked_as_such_go_with_their_marks(format_: str) -> None:
    before = sealed(format_, EXPLICIT)
    for key, gone in (("a", "? a  # g\n  # h\n  : YWE=\n  "), ("b", "  ? b\n  : YmI=\n"), ("z", "  z: eg==\n")):
        assert texts(open_(patch(before, data={key: None}))) == texts(EXPLICIT.replace(gone, ""))
    for key, gone in (("a", "? a : x, "), ("b", ", ? b : z")):
        after = open_(patch(before, string_data={key: None}))
        assert after.decode().replace('"', "") == EXPLICIT.replace(gone, "")
    without = open_(patch(before, data={"a": None, "b": None, "z": None})).decode().replace('"', "")
    assert without == EXPLICIT.partition("? data")[0] + "stringData: {? a : x, ? b : z}\n"
    labelled = plain_data(open_(patch(before, labels={"app": "web"}, metadata={"name": "y"})))
    assert labelled["metadata"] == {"name": "y", "labels": {"app": "web"}}


# -- places that are missing, empty or in another style


BARE = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n  a: text\n"
HOLES = {
    "no data": BARE,
    "null data": BARE + "data:\n",
    "null data in the middle": BARE.replace("stringData", "data:\nstringData"),
    "null data with a comment": BARE.replace("stringData", "data: # later\nstringData"),
    "data: null": BARE + "data: null\n",
    "data: ~": BARE.replace("stringData", "data: ~  # none\nstringData"),
    "data: {}": BARE + "data: {}\n",
    "data: {} with a comment": BARE.replace("stringData", "data: {}  # none\nstringData"),
    "flow data": BARE + "data: {b: YmI=}\n",
    "flow data, comma": BARE + "data: {b: YmI=, }\n",
    "flow data, lines": BARE + "data: {\n  b: YmI=,  # c\n  c: YmI=\n}\n",
    "deep indent": BARE + "data:\n        b: YmI=\n",
    "explicit key": BARE + "data:\n  ? b\n  : YmI=\n",
    "no line break": (BARE + "data:\n  b: YmI=").rstrip("\n"),
    "marks": f"---\n{BARE}data:\n  b: YmI=\n...\n",
    "comments": BARE + "data:\n  # c\n  b: YmI=\n  # d\n# e\n",
    "blank lines": BARE + "data:\n\n  b: YmI=\n\n\n# e\n\n",
    "block last": BARE + "data:\n  b: |\n    YmI=\n\n",
    "kept block last": BARE + "data:\n  b: |+\n    YmI=\n\n",
    "block last, unended": BARE + "data:\n  b: |-\n    YmI=",
    "flow Secret": "{apiVersion: v1, kind: Secret, metadata: {name: x}, stringData: {a: text}}\n",
    "flow Secret, data": "{apiVersion: v1, kind: Secret, metadata: {name: x}, stringData: {a: text}, data: {}}\n",
    "JSON": '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"stringData":{"a":"text"}}',
    "JSON, lines": json.dumps(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringData": {"a": "text"}, "data": {}},
        indent=2,
    )
    + "\n",
    "JSON, null": '{"apiVersion": "v1", "kind": "Secret", "data": null, "metadata": {"name": "x"},\n'
    '"stringData": {"a": "t"}}\n',
    "indented": "  " + BARE.replace("\n", "\n  ").rstrip(" "),
}  # fmt: skip
NEWLINES = ["\n", "\r\n"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("newline", NEWLINES, ids=["LF", "CRLF"])
@pytest.mark.parametrize("hole", HOLES)
def test_a_value_finds_its_place(format_: str, newline: str, hole: str) -> None:
    plain = HOLES[hole].replace("\n", newline)
    before = sealed(format_, plain)
    after = patch(before, data={"new": b"n"})
    assert texts(open_(after)) == texts(plain) | {("data", "new"): "bg=="}
    if format_ == "kubesec":
        assert independent(after) == texts(open_(after))
    assert not re.search(r"(?<!\r)\n", open_(after).decode()) or newline == "\n"
    again = patch(after, data={"new": None})
    assert texts(open_(again)) == texts(plain)
    if texts(plain).keys() != {("stringData", "a")}:  # the field had a value before: all its bytes come back
        assert open_(again) == open_(before)


@pytest.mark.parametrize("newline", NEWLINES, ids=["LF", "CRLF"])
@pytest.mark.parametrize("hole", HOLES)
def test_values_give_way_to_others_at_once(newline: str, hole: str) -> None:
    """As edits of one text, beside those of labels: none may need that another one was read."""
    plain = HOLES[hole].replace("\n", newline)
    gone = dict.fromkeys(key for field, key in texts(plain) if field == "data")
    before = sealed("ksecret", plain)
    after = patch(before, data={**gone, "new": b"n", "newer": b"m"}, labels={"x": "1", "y": "2"})
    assert texts(open_(after)) == {("stringData", "a"): texts(plain)["stringData", "a"]} | {
        ("data", "new"): "bg==",
        ("data", "newer"): "bQ==",
    }
    assert re.search(r"""["']?x["']?: ?"1".*["']?y["']?: ?"2\"""", after.decode(), re.DOTALL)


@pytest.mark.parametrize("last", ["", "  # a comment\n"], ids=["alone", "a comment"])
def test_fields_that_stand_behind_a_dash_go_together(last: str) -> None:
    item = f"- data:\n    a: YQ==\n  stringData:\n    b: c\n{last}  kind: Secret\n  metadata: {{name: x}}\n"
    after = patch(sealed("ksecret", f"kind: List\nitems:\n{item}"), data={"a": None}, string_data={"b": None})
    assert open_(after).decode() == "kind: List\nitems:\n- kind: Secret\n  metadata: {name: x}\n"


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("newline", NEWLINES, ids=["LF", "CRLF"])
@pytest.mark.parametrize("hole", HOLES)
def test_labels_and_annotations_find_their_place(format_: str, newline: str, hole: str) -> None:
    plain = HOLES[hole].replace("\n", newline)
    after = patch(sealed(format_, plain), labels={"app": "web", "on": "true"}, annotations={"a.b/c": "x: # y\nz"})
    opens_to(after, plain)
    metadata = plain_data(open_(after))["metadata"]
    assert metadata == {"name": "x", "labels": {"app": "web", "on": "true"}, "annotations": {"a.b/c": "x: # y\nz"}}
    changed_twice = patch(after, labels={"app": "db"}, annotations={"a.b/c": "1"}, metadata={"namespace": "7"})
    assert plain_data(open_(changed_twice))["metadata"] == {
        "name": "x", "labels": {"app": "db", "on": "true"}, "annotations": {"a.b/c": "1"}, "namespace": "7",
    }  # fmt: skip
    assert texts(open_(changed_twice)) == texts(plain)


def plain_data(data: bytes) -> Any:
    import yaml

    (found,) = [document for document in yaml.safe_load_all(data.decode().replace("\r\n", "\n")) if document]
    return found


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "labels",
    ["labels: {}", "labels:", "labels: null # c", "labels: {app: old}", "labels: {\n      app: old\n    }",
     "labels:\n    app: old", "labels:\n    app: |\n      old\n", "labels:\n    app:\n",
     "labels:\n    app: old # c\n    z: y", "labels:\n    app: >-\n\n      a\n\n",
     'labels:\n    "app": \'old\'', "labels:\n    ? app\n    : old", "labels: &x\n    app: &y old"],
)  # fmt: skip
def test_a_label_in_mappings_of_every_style(format_: str, labels: str) -> None:
    plain = BARE.replace("  name: x\n", f"  {labels}\n  name: x\n")
    after = patch(sealed(format_, plain), labels={"app": "new"})
    metadata = plain_data(open_(after))["metadata"]
    assert metadata["labels"]["app"] == "new"
    assert set(metadata) == {"name", "labels"}
    assert metadata["labels"].get("z", "y") == "y"
    opens_to(after, plain)
    assert patch(after, labels={"app": "new"}) == after


@pytest.mark.parametrize("format_", FORMATS)
def test_labels_that_are_no_mapping_are_refused(format_: str) -> None:
    for labels in ("labels: text", "labels: [a]", "labels: *x"):
        plain = BARE.replace("  name: x\n", f"  annotations: &x {{a: b}}\n  {labels}\n  name: x\n")
        with pytest.raises(ManifestError, match=r"metadata\.labels is not a mapping"):
            patch(sealed(format_, plain), labels={"app": "new"})


@pytest.mark.parametrize("format_", FORMATS)
def test_a_key_that_kubernetes_refuses_is_refused(format_: str) -> None:
    for key in ("..", "a/b", "", "x" * 254):
        with pytest.raises(ManifestError, match="a name that Kubernetes refuses"):
            patch(sealed(format_), data={key: b"x"})


def envelope(data: bytes) -> ksecret.Envelope:
    (secret,) = read(data).secrets
    member = ksecret.member_of(secret)
    assert member
    return ksecret.read(member)


TWO = PLAIN + "---\n" + BARE.replace("name: x", "name: two\n  namespace: prod")
LIST = "apiVersion: v1\nkind: List\nitems:\n- " + PLAIN.rstrip().replace("\n", "\n  ") + "\n- " + BARE.rstrip().replace(
    "\n", "\n  "
).replace("name: x", "name: two\n    namespace: prod") + "\n"  # fmt: skip
