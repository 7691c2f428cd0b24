"""Every manifest that is sealed comes back byte for byte, whatever it is written like; garbage raises KsecretErrors.

Found by these tests, each now an example of its own, most in FOUND: (1) an empty block body behind a header, sealed as
base64 of nothing, came back indented or without its kept line breaks; (2) a block of blanks alone, deeper than its
parent; (3) a block with an explicit digit at column 10 or more, sealed as text under an impossible header; (4) a
token out of a block scalar, which a formatter had put between quotes with the line break behind it, did not open.
"""

from __future__ import annotations

import io
import json
import random
import re
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from secretsvc.errors import KsecretError, ManifestError, NotSealedError
from secretsvc.manifest.reader import read
from secretsvc.operations.inspect import describe_manifest
from tests.support import TOKEN, CarefulDumper, kubernetes_values, open_, seal, text_values
from tests.unit.strategies import Written, manifests, without_envelopes

HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n"

FOUND = {
    "kept blank line alone": "stringData:\n  a: |+\n\n  b: x\n",
    "kept blank line alone, data": "data:\n  a: |+\n\n  b: eHg=\n",
    "clipped blank line alone": "stringData:\n  a: |\n\n  b: x\n",
    "clipped blank line alone, last": "stringData:\n  a: |\n\n",
    "stripped blank line alone, last": "stringData:\n  a: |-\n\n",
    "folded blank line alone, with a digit": "stringData:\n  a: >5\n\n  b: x\n",
    "blanks alone, deeper": "stringData:\n  a: |-\n     \n  b: x\n",
    "digit at column 10": f"stringData:\n{' ' * 8}a: |2\n{' ' * 10}x\n{' ' * 10}\n{' ' * 10}y\n",
}

BASES = [
    HEAD
    + "type: Opaque\ndata:\n  user: YWRtaW4=\n  pass: |\n    c2VjcmV0\n    cGFzcw==\n"
    + "stringData:\n  a: 'it''s'\n  b: >-\n    x\n",
    HEAD + 'stringData: {a: "quoted\\n\\\n    text", b: plain text}\n# end\n',
    '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"k": "\\ud83d\\udd10", "l": ""}}',
    '{\n  "kind": "Secret",\n  "data": {\n    "k": "eHg="\n  },\n  "metadata": {\n    "name": "a"\n  }\n}\n',
    "apiVersion: v1\nkind: List\nitems:\n- " + HEAD.replace("\n", "\n  ") + "stringData:\n    a: |+\n      t\n\n",
]
PLACES = [
    "name: a",
    "Opaque",
    "data:",
    "user: ",
    "YWRtaW4=",
    "|",
    "pass: |\n",
    "Fzcw==",
    "a: '",
    "it''s",
    "'\n",
    "-\n",
    "x\n",
]
YAML_PARTS = [
    *(
        "a",
        "b: ",
        "key:",
        " ",
        "  ",
        "\n",
        "\n  ",
        "\n    ",
        "\n\n",
        "\r\n",
        "\t",
        "'",
        '"',
        "\\",
        "#",
        " # c\n",
        "|",
        ">",
    ),
    *("|+\n", "|-\n    ", ">2\n", "- ", "? ", ": ", "{", "}", "[", "]", ",", "&a ", "*a", "!!str ", "!", "%", "@", "`"),
    *(
        "---\n",
        "...\n",
        "<<: ",
        "null",
        "~",
        "é",
        "🔐",
        "\x85",
        "\u2028",
        "\ufeff",
        "\x00",
        "ksecret:",
        "data:\n  ",
        "''",
    ),
    *("stringData:\n  ", "x: y\n", 'z: "q"\n', "ksecret.v1.AAAA", "  k: v\n", "  l: |\n    t\n", "eHg=", "  - i\n"),
]


def accepted(data: bytes) -> bytes | None:
    """The sealed manifest, or None where it is refused, as it may be, with a ManifestError."""
    try:
        return seal(data)
    except ManifestError as error:
        event(error.message.partition("] ")[2] or error.message)
        return None


def json_tree(text: str) -> list[Any]:
    at, found = 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = json.JSONDecoder().raw_decode(text, at)
        found.append(document)
    return found


def yaml_tree(text: str) -> list[Any]:
    """By PyYAML's own reader, which is not libyaml; every scalar a text; a last line counts as ended."""
    return list(yaml.load_all(text if text.endswith("\n") else text + "\n", Loader=yaml.BaseLoader))


def libyaml_tree(text: str) -> list[Any]:
    return list(yaml.load_all(text if text.endswith("\n") else text + "\n", Loader=yaml.CBaseLoader))


def trees(plain: bytes, *others: bytes) -> list[list[Any]]:
    """Documents as the first of three readers that takes the plain manifest reads it and the others; [] if none."""
    texts = [data.decode().removeprefix("\ufeff") for data in (plain, *others)]
    for reader in (json_tree, yaml_tree, libyaml_tree):  # PyYAML's own reader takes fewer tabs than libyaml
        try:
            reader(texts[0])
        except (ValueError, yaml.YAMLError):
            continue
        return [reader(text) for text in texts]
    return []


def without_secrets(node: Any, listed: bool = False) -> Any:
    """A tree with the Secrets' values and envelopes taken out."""
    if not isinstance(node, dict):
        return node
    kind = node.get("kind") or ("Secret" if listed else "")
    if kind != "Secret" and isinstance(node.get("items"), list):  # a list to kubectl, whatever its kind
        return {**node, "items": [without_secrets(item, kind == "SecretList") for item in node["items"]]}
    if kind == "Secret":
        names = {field: list(node[field]) for field in ("data", "stringData") if isinstance(node.get(field), dict)}
        return {name: names.get(name, value) for name, value in node.items() if name != "ksecret"}
    return node


@given(manifests())
def test_opening_gives_the_sealed_bytes(written: Written) -> None:
    sealed = accepted(written.data)
    if sealed:
        assert open_(sealed) == written.data


@given(manifests())
def test_only_values_change(written: Written) -> None:
    sealed = accepted(written.data)
    if not sealed:
        return
    text = sealed.decode().removeprefix("\ufeff")
    assert sealed.startswith(b"\xef\xbb\xbf") == written.bom
    assert written.is_shape_of(text)
    assert all(re.fullmatch(TOKEN, value.rstrip("\n")) for value in text_values(sealed))
    around = "".join(piece for kind, piece in written.pieces if kind == "keep")
    for value in written.values:
        assert not [mark for mark in re.findall(r"Zq[0-9]{4}mark", value) if mark in text]
        assert len(value.strip()) < 8 or value not in without_envelopes(text)[0] or value in around


@given(manifests())
def test_other_readers_see_the_same_manifest_but_for_the_values(written: Written) -> None:
    sealed = accepted(written.data)
    if sealed:
        before, after, opened = trees(written.data, sealed, open_(sealed))
        assert [without_secrets(one) for one in after] == [without_secrets(one) for one in before]
        assert opened == before


def formatted(sealed: bytes) -> list[Any]:
    """The documents as a tool that reads and prints JSON and YAML holds them."""
    text = sealed.decode().removeprefix("\ufeff")
    try:
        return json_tree(text)
    except ValueError:
        pass
    try:
        documents = list(yaml.load_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    return [document for document in documents if document is not None]


@given(manifests())
@example(Written((("keep", HEAD + "data:\n  a: |\n    eHg=\n"),), False, 1, ()))
def test_values_survive_a_formatter(written: Written) -> None:
    """What PyYAML or a JSON tool makes of a sealed manifest opens to the same values."""
    sealed = accepted(written.data)
    if not sealed:
        return
    values = kubernetes_values(written.data)
    as_json = "\n".join(json.dumps(document) for document in formatted(sealed)).encode()
    assert kubernetes_values(open_(as_json)) == values
    as_yaml = yaml.dump_all(formatted(sealed), Dumper=CarefulDumper, width=10**6, allow_unicode=True).encode()
    assert kubernetes_values(open_(as_yaml)) == values


@pytest.mark.uncounted
def test_nearly_all_generated_manifests_are_accepted() -> None:
    """Without this the properties above could hold of nothing."""
    outcomes: list[bool] = []

    @settings(max_examples=300, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(manifests())
    def seal_one(written: Written) -> None:
        outcomes.append(accepted(written.data) is not None)

    seal_one()
    assert len(outcomes) >= 300
    assert sum(outcomes) / len(outcomes) >= 0.8  # what is drawn depends on the modules that are loaded


@pytest.mark.parametrize("fields", FOUND.values(), ids=FOUND)
def test_manifests_that_once_were_refused(fields: str) -> None:
    data = (HEAD + fields).encode()
    assert open_(seal(data)) == data


def comes_back(data: bytes) -> None:
    """Refused, or sealed so that it opens, and so that no other reader sees anything else changed."""
    try:
        sealed = seal(data)
    except KsecretError as error:
        event(type(error).__name__)
        return
    event("sealed")
    assert open_(sealed) == data
    if read_by_others := trees(data, sealed):
        plain, locked = read_by_others
        assert [without_secrets(one) for one in locked] == [without_secrets(one) for one in plain]


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.lists(st.sampled_from(YAML_PARTS), max_size=3)), max_size=4))
def test_odd_text_in_a_secret_is_refused_or_comes_back(holes: list[tuple[str, list[str]]]) -> None:
    text = BASES[0]
    for place, parts in holes:
        text = text.replace(place, place + "".join(parts), 1)
    comes_back(text.encode())


@given(manifests(), st.integers(0, 10**6), st.sampled_from(["", "", *YAML_PARTS]), st.sampled_from([0, 0, 1, 1, 2, 9]))
def test_an_edited_manifest_is_refused_or_comes_back(written: Written, at: int, new: str, length: int) -> None:
    at %= len(written.text)
    comes_back((written.text[:at] + new + written.text[at + length :]).encode())


def survives_anything(data: bytes) -> bytes | None:
    """Runs all that reads a manifest; KsecretErrors may come out, nothing else may. The opened bytes, if it opened."""
    for work in (read, seal, lambda given: describe_manifest(given, lambda ref: "")):
        with suppress(KsecretError):
            work(data)
    try:
        return open_(data)
    except KsecretError:
        return None


@given(st.one_of(st.binary(max_size=200), st.text(max_size=80).map(str.encode)))
def test_garbage_raises_ksecret_errors_only(data: bytes) -> None:
    assert survives_anything(data) is None


SEALED = [(seal(base.encode()), kubernetes_values(base.encode())[0]) for base in BASES]


@st.composite
def edited(draw: Any) -> tuple[bytes, dict[tuple[str, str], bytes]]:
    """A sealed manifest after a few edits, and the values that were sealed in it."""
    sealed, values = draw(st.sampled_from(SEALED))
    text = sealed.decode()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.sampled_from([0, 0, 1, 1, 2, 5, 40])))
        other = draw(st.integers(0, len(text)))
        new = draw(
            st.one_of(
                st.sampled_from(["", *YAML_PARTS]),
                st.characters(codec="utf-8"),
                st.just(text[other : other + draw(st.sampled_from([1, 10, 60]))]),
            )
        )
        text = text[:at] + new + text[end:]
    return text.encode(), values


@given(edited())
def test_an_edited_sealed_manifest_opens_to_its_own_values_or_not_at_all(
    case: tuple[bytes, dict[tuple[str, str], bytes]],
) -> None:
    data, values = case
    opened = survives_anything(data)
    event("opened" if opened else "refused")
    if opened and len(read(opened).secrets) == 1:
        assert kubernetes_values(opened)[0].items() <= values.items()


@given(manifests(), st.integers(0, 2**32))
def test_an_edit_of_any_sealed_manifest_raises_ksecret_errors_only(written: Written, seed: int) -> None:
    sealed = accepted(written.data)
    if not sealed:
        return
    chance = random.Random(seed)
    data = bytearray(sealed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        data[at : at + chance.choice([0, 1, 1, 30])] = chance.choice(
            [b"", b"\xff", b"\n", *map(str.encode, YAML_PARTS)]
        )
    survives_anything(bytes(data))


@given(manifests())
def test_opening_what_is_not_sealed_says_so(written: Written) -> None:
    if accepted(written.data):
        with pytest.raises(NotSealedError, match="no Secret in it is sealed"):
            open_(written.data)


@given(manifests())
def test_ruamel_reads_sealed_manifests(written: Written) -> None:
    """The other YAML library of Python, where it takes the plain manifest at all."""
    sealed = accepted(written.data)
    if not sealed:
        return
    reader = YAML(typ="safe", pure=True)
    try:
        documents = len(list(reader.load_all(io.BytesIO(written.data))))
    except Exception as error:  # its own faults are none of ours
        event(type(error).__name__)
        return
    assert len(list(reader.load_all(io.BytesIO(sealed)))) == documents
