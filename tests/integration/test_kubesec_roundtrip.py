"""What we write in kubesec's format opens elsewhere to the same values, and here to the same manifest around them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from secretsvc.errors import AlreadySealedError, KsecretError, ManifestError
from secretsvc.formats.kubesec import envelope as kubesec
from secretsvc.keyref import KeyRef
from secretsvc.manifest.reader import read
from tests import kubesec_reader
from tests.kubesec_support import (
    AWS,
    GCP,
    MORE,
    PGP,
    Keys,
    Want,
    entries,
    independent,
    lines,
    open_,
    seal,
    texts,
    unwrap,
)
from tests.unit.strategies import Written, manifests
from tests.unit.strategies_block import block_secret
from tests.unit.strategies_flow import FLOW, JSONS, flow_secret
from tests.unit.strategies_pen import Draw, Pen

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n"
ENVELOPE = re.compile(rb"(?m)^# kubesec:.*\n?")


# -- keys


MIXED = [
    (KeyRef("pgp", "F" * 40), KeyRef("pgp", "0" * 40), GCP, AWS),
    (KeyRef("pgp", "z"), KeyRef("gcp", "y"), KeyRef("aws", "x"), KeyRef("pgp", "a"), KeyRef("gcp", "b")),
    (KeyRef("aws", "a"), KeyRef("gcp", "b"), KeyRef("pgp", "c"), KeyRef("aws", "d"), KeyRef("gcp", "a")),
    (KeyRef("gcp", "m:1"), KeyRef("gcp", "m:0"), KeyRef("pgp", "m"), KeyRef("aws", "m:2:3"), KeyRef("pgp", "é")),
    (KeyRef("pgp", "1"), KeyRef("pgp", "1a"), KeyRef("gcp", "1"), KeyRef("aws", "1"), KeyRef("aws", "12")),
]


@pytest.mark.parametrize("refs", MIXED, ids=str)
def test_keys_in_every_order_come_in_kubesecs(refs: Sequence[KeyRef]) -> None:
    for order in permutations(refs):
        theirs = [kubesec_reader.KeyLine(one.scheme, one.id, b"") for one in order]
        expected = [f"{one.scheme}:{one.id}" for one in kubesec_reader.in_writing_order(theirs)]
        assert [str(one) for one, _ in kubesec.ordered((one, "") for one in order)] == expected


NAMED = [
    MIXED[0],
    (MORE[1], GCP, PGP, AWS, KeyRef("gcp", "projects/a/locations/l/keyRings/r/cryptoKeys/k")),
    (GCP, PGP, KeyRef("gcp", "projects/example.com:p/locations/l/keyRings/r/cryptoKeys/k"), MORE[0], AWS),
]
"""Such as envelopes may have: of no other shape does a KeyRef come out of a file."""


@pytest.mark.parametrize("refs", NAMED, ids=str)
def test_a_file_with_its_key_lines_in_any_order_is_read_as_the_other_reader_reads_it(refs: Sequence[KeyRef]) -> None:
    sealed = seal(HEAD + "data:\n  a: YWE=\n", Want(tuple(refs))).decode()
    assert independent(sealed) == {("data", "a"): "YWE="}
    own = lines(sealed)[1:-1]
    opened = 0
    for order in permutations(own):
        shuffled = sealed.replace("\n".join(own), "\n".join(order))
        try:
            theirs = entries(kubesec_reader.read(shuffled.encode(), unwrap))
        except kubesec_reader.RefusedError:
            with pytest.raises(KsecretError, match="its MAC does not fit"):
                open_(shuffled)
        else:
            opened += 1
            assert texts(open_(shuffled)) == theirs
    assert opened >= 1


@pytest.mark.parametrize("keys", [(PGP,), (GCP,), (AWS,), (PGP, GCP), (GCP, AWS), (PGP, AWS), (PGP, GCP, AWS, *MORE)])
def test_each_key_alone_opens(keys: tuple[KeyRef, ...]) -> None:
    plain = HEAD + "data:\n  a: YWE=\nstringData:\n  b: text\n"
    sealed = seal(plain, Want(keys))
    assert independent(sealed) == texts(plain)
    assert len(lines(sealed)) == len(keys) + 2
    for key in keys:
        assert open_(sealed, Keys([key])) == plain.encode()


def test_a_key_more_keeps_the_tokens_and_a_key_less_makes_all_new() -> None:
    plain = HEAD + "data:\n  a: YWE=\nstringData:\n  b: text\n"
    sealed = seal(plain, Want((GCP, PGP)))
    more = seal(sealed, Want(add=(AWS, *MORE)))
    assert independent(more) == texts(plain)
    assert texts(more) == texts(sealed)
    assert set(lines(sealed)[1:3]) <= set(lines(more))
    assert lines(more)[-1] != lines(sealed)[-1]
    less = seal(more, Want(remove=(PGP,)))
    assert independent(less) == texts(plain)
    assert not set(texts(more).values()) & set(texts(less).values())
    assert not set(lines(less)[1:]) & set(lines(more)[1:])
    assert [one for one in lines(less) if PGP.id in one] == []
    assert independent(seal(less, Want(exact=(PGP,)))) == texts(plain)


def test_a_new_data_key_changes_all_but_the_keyset() -> None:
    plain = HEAD + "data:\n  a: YWE=\n  b: ''\n"
    sealed = seal(plain, Want((GCP, PGP)))
    rotated = seal(sealed, Want(rotate=True))
    assert independent(rotated) == texts(plain)
    assert not set(texts(sealed).values()) & set(texts(rotated).values())
    kept = [line.rpartition(":")[0] for line in lines(sealed)]
    assert [line.rpartition(":")[0] for line in lines(rotated)] == kept


# -- values


@pytest.mark.parametrize("size", [0, 1, 46, 47, 48, 49, 95, 96, 97, 1000])
@pytest.mark.parametrize("field", ["data", "stringData"])
def test_values_of_sizes_around_the_padding(field: str, size: int) -> None:
    """A text's length counts, which under data is that of its base64."""
    clear = b64encode(bytes(size)).decode() if field == "data" else "x" * size
    plain = f'{HEAD}{field}:\n  a: "{clear}"\n'
    sealed = seal(plain)
    assert independent(sealed) == {(field, "a"): clear}
    token = texts(sealed)[field, "a"]
    if clear:
        assert len(token.split(".")[0]) == 64 * -(-len(clear) // 48)
    else:
        assert token.count(".") == 1
    assert texts(open_(sealed)) == texts(plain)


def test_a_text_is_padded_by_its_bytes_and_not_its_characters() -> None:
    for text in ("é" * 23, "é" * 24, "é" * 24 + "x", "日" * 16, "日" * 17, "🔐" * 12, "🔐" * 13):
        sealed = seal(f"{HEAD}stringData:\n  a: {text}\n")
        assert independent(sealed) == {("stringData", "a"): text}
        assert len(texts(sealed)["stringData", "a"].split(".")[0]) == 64 * -(-len(text.encode()) // 48)


def test_a_mebibyte() -> None:
    half = b64encode(bytes(512 * 1024)).decode()
    plain = f"{HEAD}data:\n  a: {half}\nstringData:\n  b: {'y' * 512 * 1024}\n"
    sealed = seal(plain)
    assert independent(sealed) == texts(plain)
    assert open_(sealed) == plain.encode()


VALUES = [
    "", " ", "text", "p@ss: #1", "'", '"', "it's", "a\nb\n", "a\nb", "\n", "\ttab", "trailing ", "null", "~", "1", "y",
    "é", "日本語 🔐", "\u2028", "\u0085", "\ufeff", "\x01\x1f\x7f", "# kubesec:v:3", "\n# kubesec:v:3\n", "---\n", "{}",
    "ksecret:", "&a", "*a", "!!str", "%", "@", "`", "\\", "\\0", "a" * 300, "1_000", "1e3", "2026-11-23", "12:30:45",
    "=", "- x", "0x1f",
]  # fmt: skip


@pytest.mark.parametrize("indent", [None, 1])
def test_texts_of_every_kind_as_json_and_back(indent: int | None) -> None:
    """JSON that is YAML too: what is sealed has comment lines, so it is no JSON any more."""
    data = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "é"}, "stringData": dict(enumerate_keys(VALUES))}
    plain = json.dumps(data, indent=indent, ensure_ascii=False)
    sealed = seal(plain)
    assert independent(sealed) == {("stringData", key): text for key, text in enumerate_keys(VALUES)}
    assert json.loads(open_(sealed)) == data


def enumerate_keys(values: list[str]) -> list[tuple[str, str]]:
    return [(f"k-{number}", value) for number, value in enumerate(values)]


STYLES = {
    "plain": "a: text",
    "single quotes": "a: 'it''s'",
    "double quotes": 'a: "line\\n\\u00e9"',
    "folded plain": "a: one\n    two # c",
    "folded quotes": 'a: "one\n\n    two\\\n    three"',
    "on a line of its own": "a:\n    text",
    "literal": "a: |\n    one\n    two",
    "literal stripped": "a: |-\n    one\n    two",
    "literal kept": "a: |+\n    one\n\n",
    "literal with a digit": "a: |2\n      one\n    two",
    "folded": "a: >\n    one\n    two",
    "header comment": "a: |- # why\n    one",
    "flow": "{a: x, 'b': 'y', \"c\": \"z\"}",
    "explicit key": "? a\n  : text",
    "comment behind": "a: text   # behind",
    "quoted key": "'a': text",
    "escaped key": '"\\x61": text',
    "block then more": "a: |\n    one\n  b: x",
    "empty": "a: ''",
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("behind", ["\n", "\n# end\n", "", "\ntype: Opaque\n", "\n\n\n# end\n\ntype: Opaque"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_value_of_every_style(style: str, behind: str, newline: str) -> None:
    own = STYLES[style]
    text = (
        f"# top\n{HEAD}stringData: {own}{behind}" if own[0] == "{" else f"{HEAD}stringData: # c\n  # d\n  {own}{behind}"
    )
    plain = text.replace("\n", newline)
    sealed = seal(plain)
    assert independent(sealed) == texts(plain)
    opened = open_(sealed)
    assert texts(opened) == texts(plain)
    assert around(opened) == around(plain.encode())
    assert seal(opened, parent=sealed) == sealed


def test_blank_lines_behind_a_block_that_does_not_hold_them_stay() -> None:
    """They part entries for people; `|` and `|-` make them no part of the value."""
    for header in ("|", "|-", ">", ">-", "|- # c"):
        plain = f"{HEAD}stringData:\n  a: {header}\n    one\n\n\n  b: x\n\ntype: Opaque\n"
        opened = open_(seal(plain))
        assert texts(opened) == texts(plain)
        assert b'"\n\n\n  b: x\n\ntype' in opened.replace(b" # c", b"").replace(b"a: one\n", b'a: "one"\n'), header


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_line_breaks_bom_and_an_unended_last_line(newline: str, ended: bool, bom: str) -> None:
    plain = bom + f"# top\n---\n{HEAD}data:\n  a: YWE= # c\n  b: YmI=\n# end\n".replace("\n", newline)
    plain = plain if ended else plain[: -len(newline)]
    sealed = seal(plain)
    assert ENVELOPE.sub(b"", sealed).decode().removesuffix("" if ended else newline) == re.sub(
        "YWE=|YmI=", lambda found: texts(sealed)["data", "a" if found[0] == "YWE=" else "b"], plain
    )
    assert not [line for line in lines(sealed) if line.endswith("\r")]
    assert sealed.endswith(b"\n") == ended
    assert open_(sealed) == plain.encode()
    assert independent(sealed.removeprefix(b"\xef\xbb\xbf")) == {("data", "a"): "YWE=", ("data", "b"): "YmI="}


def test_old_macs_line_breaks_come_back() -> None:
    for plain in (f"{HEAD}data:\n  a: YWE=\n", f"{HEAD}data:\n  a: YWE="):
        old = plain.replace("\n", "\r")
        assert open_(seal(old)) == old.encode()


@pytest.mark.parametrize("mark", ["---\n", "--- # first\n", "# c\n---\n\n", ""])
@pytest.mark.parametrize("end", ["", "...\n", "... # end\n"])
def test_document_marks(mark: str, end: str) -> None:
    plain = f"{mark}{HEAD}data:\n  a: YWE=\n{end}"
    sealed = seal(plain)
    assert open_(sealed) == plain.encode()
    assert independent(sealed) == {("data", "a"): "YWE="}


def test_an_envelope_that_stands_elsewhere_stays_there() -> None:
    plain = HEAD + "data:\n  a: YWE=\n"
    sealed = seal(plain, Want((GCP, PGP))).decode()
    envelope = "".join(f"{line}\n" for line in lines(sealed))
    moved = f"# top\n{envelope}# below\n{sealed.replace(envelope, '')}"
    assert open_(moved) == f"# top\n# below\n{plain}".encode()
    more = seal(moved, Want(add=(AWS,))).decode()
    assert more.startswith("# top\n# kubesec:v:3\n")
    assert "\n# below\napiVersion" in more
    assert entries(kubesec_reader.read(more.encode(), unwrap)) == texts(plain)
    assert open_(more) == open_(moved)


def test_an_envelope_in_pieces_is_gathered_at_the_end() -> None:
    plain = HEAD + "data:\n  a: YWE=\n"
    sealed = seal(plain, Want((GCP, PGP))).decode()
    version, *keys, mac = lines(sealed)
    body = sealed.partition("# kubesec:")[0]
    for scattered in (
        body.replace("\ndata:", f"\n{keys[0]}\n# kept\ndata:") + f"{version}\n{keys[1]}\n{mac}\n",
        body.replace("\ndata:", f"\n{mac}\n# kept\ndata:") + f"{version}\n# between\n{keys[0]}\n{keys[1]}",
    ):
        again = seal(scattered, Want(add=(AWS,)))
        assert independent(again) == texts(plain)
        assert b"\n# kept\ndata:" in again
        clear = open_(scattered)
        assert lines(clear) == []
        assert b"\n# kept\ndata:" in clear
        assert texts(clear) == texts(plain)


# -- whatever people write


def around(data: bytes) -> str:
    """The text outside the values; of a block the comment behind its header, and nowhere a blank line."""
    manifest = read(data)
    pieces, at = [], 0
    for entry in sorted(manifest.secrets[0].entries, key=lambda entry: entry.scalar.start):
        start, end = entry.scalar.start, entry.scalar.end
        scalar = manifest.text[start:end]
        between = manifest.text[at:start]
        if entry.scalar.style in ("|", ">"):
            header = re.match(r"[|>][-+0-9]*([^\r\n]*)", scalar)
            assert header
            between += header[1].rstrip() + "\n"
        pieces.append(between)
        at = end
    pieces.append(manifest.text[at:])
    return "\n".join(line for line in "".join(pieces).splitlines() if line.strip())


@st.composite
def lone_secrets(draw: Draw) -> Written:
    """One Secret in one document, in block or flow style or as JSON."""
    pen = Pen(draw)
    while not pen.sealable:
        pen.pieces.clear()
        kind = pen.pick(["block", "block", "flow", "json"])
        if kind == "json":
            flow_secret(pen, pen.pick(JSONS)._replace(pairs=False))
            pen.keep(pen.pick(["\n", "", "\n\n"]))
            continue
        pen.keep(pen.pick(["", "", "---\n", "# c\n--- # first\n", "\n"]))
        pen.filler()
        if kind == "flow":
            flow_secret(pen, FLOW)
            pen.keep(pen.trail())
        else:
            block_secret(pen, pen.pick([0, 0, 0, 2]), inline=False)
        pen.filler()
        pen.keep(pen.pick(["", "", "", "...\n"]))
    newline = pen.pick(["\n", "\n", "\r\n"])
    pieces = [(kind, text.replace("\n", newline)) for kind, text in pen.pieces]
    if pen.chance(4):
        kind, text = pieces[-1]
        pieces[-1] = (kind, text.removesuffix(newline))
    return Written(tuple(pieces), pen.chance(8), pen.sealable, ())


def accepted(data: bytes) -> bytes | None:
    try:
        return seal(data, Want((GCP, PGP)))
    except ManifestError as error:
        event(error.message.partition("] ")[2] or error.message)
        return None


def theirs(sealed: bytes) -> dict[tuple[str, str], str] | None:
    """As the other reader has it; None where PyYAML takes less than libyaml (tabs, for one)."""
    bare = sealed.removeprefix(b"\xef\xbb\xbf")
    try:
        list(yaml.load_all(bare.decode(), Loader=yaml.BaseLoader))
    except yaml.YAMLError:
        event("PyYAML refuses it")
        return None
    return independent(bare)


@given(lone_secrets())
def test_any_secret_opens_elsewhere_to_its_values_and_here_to_its_bytes_around_them(written: Written) -> None:
    sealed = accepted(written.data)
    if not sealed:
        return
    found = theirs(sealed)
    assert found in (None, texts(written.data))
    opened = open_(sealed)
    assert texts(opened) == texts(written.data)
    assert around(opened) == around(written.data)
    assert not re.findall(rb"Zq[0-9]{4}mark", b"".join(text.encode() for text in texts(sealed).values()))
    with pytest.raises(AlreadySealedError, match="it is sealed already"):
        seal(sealed)
    assert seal(opened, parent=sealed) == sealed


@given(manifests())
def test_other_manifests_are_refused_or_come_back(written: Written) -> None:
    sealed = accepted(written.data)
    if sealed:
        assert texts(open_(sealed)) == texts(written.data)


@pytest.mark.uncounted
def test_nearly_all_of_them_are_accepted() -> None:
    outcomes: list[bool] = []

    @settings(max_examples=200, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(lone_secrets())
    def seal_one(written: Written) -> None:
        outcomes.append(accepted(written.data) is not None)

    seal_one()
    assert sum(outcomes) / len(outcomes) >= 0.9
