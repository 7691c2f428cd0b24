"""The last nets: what is about to be written is read and opened again first, and refused where it came out wrong.

Nothing is known to spring them, so the text is spoilt here on its way from the edits to the net.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.cli.main import main
from secretsvc.errors import AlteredError, KsecretError, ManifestError
from secretsvc.formats import base
from secretsvc.formats.ksecret import sealing as opening
from secretsvc.manifest import change
from secretsvc.manifest.splice import Edit, apply
from secretsvc.operations import patched_secret
from secretsvc.operations import seal as sealing
from secretsvc.operations.from_cluster import without_cluster
from secretsvc.operations.patch import patch_manifest
from secretsvc.operations.request import Changes, Request
from secretsvc.operations.rotate import rotate_manifest
from tests import kubesec_support
from tests.support import CREATED, LOCK, NO_CHANGE, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from secretsvc.operations import Result

    Spoil = Callable[[str], str]

CLEAR = b"""\
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
type: Opaque
data:
  a: YWE=
  b: YmI=
stringData:
  c: text
"""
REQUEST = Request(NO_CHANGE, lambda *_: LOCK.keys, "", CREATED)
ANOTHER = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: other}\nstringData: {c: text}\n"
SHELL: dict[str, Spoil] = {
    "another name": lambda text: text.replace("name: db", "name: dc"),
    "another namespace": lambda text: text.replace("namespace: prod", "namespace: test"),
    "another type": lambda text: text.replace("type: Opaque", "type: mine"),
    "another Secret": lambda text: text + ANOTHER,
    "no Secret": lambda text: text.replace("kind: Secret", "kind: ConfigMap"),
}
VALUES: dict[str, Spoil] = {
    "another value": lambda text: text.replace("YWE=", "YWI="),
    "a value less": lambda text: text.replace("  b: YmI=\n", ""),
    "a value more": lambda text: text + "  d: more\n",
    "two values swapped": lambda text: text.replace("YWE=", "-").replace("YmI=", "YWE=").replace("-", "YmI="),
    "a text that is no YAML": lambda text: text.replace("YWE=", "[YWE="),
}
SEALED: dict[str, Spoil] = {
    "a byte more": lambda text: text.replace("\ndata:", "\n\ndata:"),
    "a comment less": lambda text: text.replace("# kept\n", ""),
    "two tokens swapped": lambda text: _swapped(text, TOKEN),
    "a token less": lambda text: re.sub(rf"  b: {TOKEN}\n", "", text),
    "another time in the envelope": lambda text: text.replace(CREATED, "2027-01-01T00:00:00Z"),
    "no envelope": lambda text: text[: text.index("ksecret:\n")],
}
KUBESEC_SEALED: dict[str, Spoil] = {
    "a value less": lambda text: re.sub(r"(?m)^  b: .*\n", "", text),
    "two tokens swapped": lambda text: _swapped(text, r"(?m)(?<=^  [ab]: ).*"),
    "another version": lambda text: text.replace("kubesec:v:4", "kubesec:v:3"),
    "another MAC": lambda text: re.sub(r"(kubesec:mac:)....", r"\1AAAA", text),
}


def _swapped(text: str, pattern: str) -> str:
    one, other, *_ = re.findall(pattern, text)
    return text.replace(one, "-").replace(other, one).replace("-", other)


def spoil(monkeypatch: pytest.MonkeyPatch, module: ModuleType, how: Spoil) -> None:
    """From now on the edits of that module give a text that is spoilt so."""

    def spoilt(text: str, edits: Any) -> str:
        right = apply(text, edits)
        wrong = how(right)
        assert wrong != right
        return wrong

    monkeypatch.setattr(module, "apply", spoilt)


@pytest.mark.parametrize("what", SHELL | SEALED)
def test_what_was_sealed_wrongly_is_not_written(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    clear = CLEAR.replace(b"\ndata:", b"\n# kept\ndata:")
    assert LOCK.open_(LOCK.seal(clear)) == clear
    spoil(monkeypatch, sealing, (SHELL | SEALED)[what])
    with pytest.raises(
        KsecretError, match=r"could not be restored|does not fit|can't be|altered|out of range|no|changed"
    ):
        LOCK.seal(clear)


def patched(sealed: bytes) -> Result:
    return patch_manifest(sealed, Changes(values={"a": b"x"}, labels={"x": "y"}), REQUEST, LOCK.keyring)


def rotated(sealed: bytes) -> Result:
    return rotate_manifest(sealed, REQUEST._replace(rotate_before="9"), LOCK.keyring)


@pytest.mark.parametrize("what", SHELL | SEALED)
@pytest.mark.parametrize("operation", [patched, rotated])
def test_what_was_sealed_anew_wrongly_is_not_written(
    monkeypatch: pytest.MonkeyPatch, operation: Callable[[bytes], Result], what: str
) -> None:
    """What it opens to is not read here, but compared with what opened before."""
    sealed = LOCK.seal(CLEAR.replace(b"\ndata:", b"\n# kept\ndata:"))
    spoil(monkeypatch, sealing, (SHELL | SEALED)[what])
    with pytest.raises(
        KsecretError, match=r"could not be restored|does not fit|can't be|altered|out of range|no|changed"
    ):
        operation(sealed)


@pytest.mark.parametrize("what", SHELL | VALUES)
def test_what_was_opened_wrongly_is_not_handed_out(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    sealed = LOCK.seal(CLEAR)
    spoil(monkeypatch, opening, (SHELL | VALUES)[what])
    with pytest.raises(AlteredError, match="the sealed values can't be written back where the tokens stand"):
        LOCK.open_(sealed)


def test_a_payload_that_is_not_its_value_is_not_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = opening.payload_of
    monkeypatch.setattr(opening, "payload_of", lambda text, entry: right(text, entry)._replace(content=b"other"))
    with pytest.raises(ManifestError, match=r'data\["a"\] is written in a style that can\'t be restored') as caught:
        LOCK.seal(CLEAR)
    assert caught.value.line == 8


@pytest.mark.parametrize("what", SHELL | KUBESEC_SEALED)
def test_the_same_in_kubesecs_format(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    spoil(monkeypatch, sealing, (SHELL | KUBESEC_SEALED)[what])
    with pytest.raises(
        KsecretError, match=r"would not hold the same|altered|one Secret|no Secret|it is not|does not fit"
    ):
        kubesec_support.seal(CLEAR)


@pytest.mark.parametrize("what", ["another Secret", "no Secret", "still sealed", *VALUES])
def test_the_same_where_kubesecs_format_is_opened(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    sealed = kubesec_support.seal(CLEAR)
    still: dict[str, Spoil] = {"still sealed": lambda text: text + "# kubesec:v:4\n# kubesec:mac:x\n"}
    spoil(monkeypatch, base, (SHELL | VALUES | still)[what])
    with pytest.raises((AlteredError, ManifestError), match=r"can't be written back|not valid YAML"):
        kubesec_support.open_(sealed)


@pytest.mark.parametrize(
    ("command", "module", "what", "code"),
    [("encrypt", sealing, SEALED["a byte more"], 3), ("decrypt", opening, VALUES["another value"], 5)],
    ids=["encrypt", "decrypt"],
)
def test_the_file_stays_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, module: ModuleType, what: Spoil, code: int
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(CLEAR)
    monkeypatch.setenv("KSECRET_AGE_KEY", LOCK.identity)
    monkeypatch.setenv("KSECRET_KEYS", str(LOCK.keys[0]))
    if command == "decrypt":
        assert main(["encrypt", "-i", str(path)]) == 0
    before = path.read_bytes()
    spoil(monkeypatch, module, what)
    assert main([command, "-i", str(path)]) == code
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize("what", ["another Secret", "no Secret", "a value more"])
def test_what_was_patched_wrongly_is_not_sealed(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    sealed = LOCK.seal(CLEAR)
    more: dict[str, Spoil] = {"a value more": lambda text: text.replace("stringData:\n", "stringData:\n  d: more\n")}
    spoil(monkeypatch, patched_secret, (SHELL | more)[what])
    with pytest.raises(ManifestError, match="the change would alter more than it should in this layout"):
        patched(sealed)


def test_a_patch_of_edits_that_overlap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = LOCK.seal(CLEAR)
    monkeypatch.setattr(change, "changes", lambda *_: [Edit(0, 2, ""), Edit(1, 3, "")])
    with pytest.raises(ManifestError, match="the change would alter more than it should in this layout"):
        patch_manifest(sealed, Changes(labels={"x": "y"}), REQUEST, LOCK.keyring)


def test_edits_that_overlap_are_made_neither_of() -> None:
    assert apply("abc", [Edit(1, 2, "x"), Edit(0, 1, "y")]) == "yxc"
    with pytest.raises(ValueError, match="overlapping edits"):
        apply("abc", [Edit(0, 2, "x"), Edit(1, 3, "y")])


def test_an_envelope_in_json_stands_on_lines_only_where_its_neighbours_do() -> None:
    one = b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"stringData":{"a":"b"}}'
    assert LOCK.seal(one).count(b"\n") == 0
    lines = one.replace(b',"', b',\n  "').replace(b'{"api', b'{\n  "api')[:-1] + b"\n}\n"
    assert b'},\n  "ksecret":{\n    "version":1,\n' in LOCK.seal(lines)


@pytest.mark.parametrize(
    ("metadata", "left"),
    [
        ('{"name":"a","uid":"1"}', '{"name":"a"}'),
        ('{"uid":"1","name":"a"}', '{"name":"a"}'),
        ('{"uid":"1","generation":2,"name":"a","selfLink":"s"}', '{"name":"a"}'),
        ('{"name":"a","uid":"1","namespace":"n"}', '{"name":"a","namespace":"n"}'),
    ],
)
def test_members_of_json_go_with_one_comma_each(metadata: str, left: str) -> None:
    form = '{"apiVersion":"v1","kind":"Secret","metadata":%s,"stringData":{"a":"b"}}'
    assert without_cluster((form % metadata).encode()).decode() == form % left
