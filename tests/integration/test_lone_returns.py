"""Files whose lines end with a carriage return alone, as YAML allows: their bytes stay, or they are refused."""

from __future__ import annotations

import pytest

from secretsvc.errors import ManifestError
from tests.support import open_, seal

HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n"
ITEM = "- kind: Secret\n  apiVersion: v1\n  metadata: {name: a}\n  stringData: {a: text}"
TEXTS = {
    "lines": HEAD + "  a: text\n  b: 'more'",
    "blocks of a line": HEAD + "  a: |\n    one\n  b: |-\n    other",
    "a list": f"apiVersion: v1\nkind: List\nitems:\n{ITEM}",
    "comments": f"{HEAD}  a: text # one\nimmutable: true # another\n# the last",
    "flow": "stringData: {a: text}\nkind: Secret\napiVersion: v1\nmetadata: {name: a}",
}


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("form", TEXTS)
def test_sealed_and_opened_it_is_as_it_was(form: str, end: str) -> None:
    data = (TEXTS[form] + end).replace("\n", "\r").encode()
    sealed = seal(data)
    assert sealed != data
    assert open_(sealed) == data


@pytest.mark.parametrize("header", ["|", "|-", ">"])
def test_a_block_of_several_such_lines_is_refused(header: str) -> None:
    """Nothing would give back where its lines ended."""
    data = f"{HEAD}  a: {header}\n    two\n    lines\n".replace("\n", "\r").encode()
    with pytest.raises(ManifestError, match="written in a style that can't be restored exactly"):
        seal(data)


def test_the_envelope_goes_behind_the_last_members_own_line() -> None:
    data = TEXTS["comments"].replace("\n", "\r").encode()
    _, behind = seal(data).split(b"immutable: true # another\r")
    assert behind.startswith(b"ksecret:\n")
    assert behind.endswith(b"\n# the last")
