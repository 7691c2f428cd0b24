"""Manifests that are refused: where, why, and without showing a value."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

import pytest

from secretsvc.errors import AlteredError, InputError, ManifestError
from tests.support import DATA, Lock

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = DATA / "refused"
NO_CASES = {"expected.json", ".gitattributes"}
IN_EVERY_MANIFEST = {"password", "Secret", "refused", "apiVersion", "metadata", "Opaque"}
FIELD = re.compile(r"""["']?(?:data|stringData)["']?\s*:""")


class Case(NamedTuple):
    path: Path
    line: int | None
    about: str

    def __str__(self) -> str:
        return self.path.name


def load() -> list[Case]:
    """The recorded cases; a file without a record, or a record without a file, fails every test here."""
    expected = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
    names = {path.name for path in FOLDER.iterdir()} - NO_CASES
    assert names == set(expected), f"not in both folder and record: {sorted(names ^ set(expected))}"
    assert len(expected) >= 98, "cases are missing"
    return [Case(FOLDER / name, case["line"], case["about"]) for name, case in sorted(expected.items())]


def values_in(data: bytes) -> set[str]:
    """Texts of six letters or more that stand as values behind the first `data` or `stringData`, parsed or not."""
    text = data.decode("utf-8", "replace").replace("\0", "")
    found = FIELD.search(text)
    if not found:
        return set()
    values: set[str] = set()
    rest = text[found.end() :]
    for line in rest.splitlines()[:2000]:
        for part in re.split(r"""["',{}\[\]]|:(?:\s|$)""", line):
            text = part.strip()
            if len(text) >= 6 and not text.startswith("#"):
                values.add(text)
    return {value for value in values - IN_EVERY_MANIFEST if f"{value}:" not in rest and f'{value}":' not in rest}


CASES = load()


def test_values_are_found_in_most_cases() -> None:
    """Or the test below would look for nothing."""
    assert sum(bool(values_in(case.path.read_bytes())) for case in CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=str)
def test_refused_with_place_and_reason_and_no_value(case: Case, lock: Lock) -> None:
    data = case.path.read_bytes()
    with pytest.raises(InputError, match=r"\S") as caught:
        lock.seal(data)
    error = caught.value
    assert isinstance(error, ManifestError)
    if case.line is not None:
        assert error.line == case.line
    said = f"{error.message}\n{error.hint}"
    assert case.about.lower() in said.lower()
    assert "\n" not in error.message
    shown = [value for value in values_in(data) if value in said or value in str(error) or value in repr(error)]
    assert not shown


@pytest.mark.parametrize("case", CASES, ids=str)
def test_opening_it_is_refused_too(case: Case, lock: Lock) -> None:
    expected = AlteredError if case.path.name.startswith("token-without-envelope") else InputError
    with pytest.raises(expected, match=r"\S") as caught:
        lock.open_(case.path.read_bytes())
    said = f"{caught.value.message}\n{caught.value.hint}"
    assert not [value for value in values_in(case.path.read_bytes()) if value in said]


@pytest.mark.parametrize("odd", ["a\x1bb", "a\nb", "a\x7f", "a\u202eb", "a\u200bb", "a\xa0b"])
@pytest.mark.parametrize("what", ["name", "namespace", "type"])
def test_a_name_that_shows_as_another_is_not_bound(lock: Lock, what: str, odd: str) -> None:
    metadata = {"name": "db", "namespace": "prod"} | ({what: odd} if what != "type" else {})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"a": "YQ=="}}
    assert lock.seal(json.dumps(secret | {"metadata": {"name": "db"}}).encode())
    data = json.dumps(secret | ({"type": odd} if what == "type" else {}))
    with pytest.raises(ManifestError, match=f"the Secret's {what} can't be bound") as caught:
        lock.seal(data.encode())
    assert odd not in caught.value.message + caught.value.hint


def test_a_secret_is_as_large_as_kubernetes_takes_it_and_no_byte_larger(lock: Lock) -> None:
    head, most = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n", 1024 * 1024
    for field, value in ((b"stringData", lambda size: b"x" * size), (b"data", lambda size: b64encode(b"x" * size))):
        for sizes, taken in (([most - 1, 1], True), ([most, 1], False), ([most + 1], False)):
            text = head + field + b":\n" + b"".join(b"  k%d: %s\n" % pair for pair in enumerate(map(value, sizes)))
            if taken:
                assert lock.open_(lock.seal(text)) == text
                continue
            with pytest.raises(ManifestError, match=f"holds {most + 1} bytes of data, over Kubernetes' limit"):
                lock.seal(text)


@pytest.mark.parametrize("value", ["\\ud800", "\\udc00x", "\\ud800\\ud800"])
def test_half_of_a_surrogate_pair_is_no_text(lock: Lock, value: str) -> None:
    head = '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"a": "'
    assert lock.seal((head + '\\ud83d\\udd11"}}').encode())
    with pytest.raises(ManifestError, match=r'stringData\["a"\] holds half of a surrogate pair'):
        lock.seal((head + value + '"}}').encode())


@pytest.mark.parametrize(
    "rest", ["x: [{a: 1, a: 2}]", "x: {y: [[{a: 1, 'a': 2}]]}", "metadata: {finalizers: [{b: 1, b: 1}]}"]
)
def test_a_key_that_stands_twice_is_refused_inside_of_lists_too(lock: Lock, rest: str) -> None:
    text = f"apiVersion: v1\nkind: Secret\n{rest}\nstringData: {{a: b}}\n"
    text += "" if "metadata" in rest else "metadata: {name: db}\n"
    with pytest.raises(ManifestError, match="a duplicate key in a Secret"):
        lock.seal(text.encode())
