"""What `check` finds in a file whose merge nobody has finished."""

from __future__ import annotations

import re

import pytest

from tests.integration.check_support import CLEAR, KUBESEC, MARK, SEALED, SOPS, allowed, found
from tests.support import TOKEN

CONFIG = b"apiVersion: v1\nkind: ConfigMap\ndata:\n<<<<<<< HEAD\n  a: b\n=======\n  a: c\n>>>>>>> x\n"


def conflict(ours: str, theirs: str, base: str | None = None, end: str = "\n") -> bytes:
    middle = f"||||||| 1234567\n{base}" if base is not None else ""
    return f"<<<<<<< HEAD\n{ours}{middle}=======\n{theirs}>>>>>>> their branch\n".replace("\n", end).encode()


TOKEN_LINE = re.findall(rf"  b: {TOKEN}\n", SEALED.decode())[0]
CLEAR_LINE = f"  b: {MARK}\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_markers_over_sealed_text(end: str) -> None:
    sides = conflict(TOKEN_LINE, TOKEN_LINE.upper(), end=end)
    text = SEALED.replace(b"\n", end.encode()).replace(TOKEN_LINE.replace("\n", end).encode(), sides)
    assert (9, "KS016") in found(text)
    assert "KS001" not in {code for _, code in found(text)}


@pytest.mark.parametrize(
    ("ours", "theirs", "base", "line"),
    [
        (TOKEN_LINE, CLEAR_LINE, None, 12),
        (CLEAR_LINE, TOKEN_LINE, None, 10),
        (TOKEN_LINE, TOKEN_LINE, CLEAR_LINE, 12),
        (TOKEN_LINE, CLEAR_LINE, TOKEN_LINE, 14),
        ("", CLEAR_LINE, None, 11),
    ],
)
def test_a_value_in_the_clear_on_any_side_is_found_at_its_line(
    ours: str, theirs: str, base: str | None, line: int
) -> None:
    text = SEALED.replace(TOKEN_LINE.encode(), conflict(ours, theirs, base))
    assert found(text)[0] == (9, "KS016")
    assert (line, "KS002") in found(text)
    assert text.splitlines()[line - 1] == CLEAR_LINE.strip("\n").encode()


def test_markers_around_whole_secrets() -> None:
    text = conflict(CLEAR.decode(), SEALED.decode())
    assert found(text) == [(1, "KS016"), (8, "KS001")]
    text = conflict(SEALED.decode(), CLEAR.decode())
    assert found(text) == [(1, "KS016"), (SEALED.count(b"\n") + 9, "KS001")]


def test_a_marker_that_was_left_alone() -> None:
    for marker in (b"<<<<<<< HEAD\n", b"=======\n", b">>>>>>> x\n", b"||||||| 123\n", b">>>>>>> x", b"<<<<<<<<< a\n"):
        assert (SEALED.count(b"\n") + 1, "KS016") in found(SEALED + marker)
        assert (1, "KS016") in found(marker.rstrip() + b"\n" + SEALED)
        assert (1, "KS016") in found(marker.rstrip() + b"\n" + CLEAR)


@pytest.mark.parametrize("text", [KUBESEC, SOPS])
def test_markers_in_what_others_sealed(text: str) -> None:
    assert (1, "KS016") in found(conflict(text, text))


def test_markers_elsewhere_are_nobodys_business_here() -> None:
    assert found(CONFIG) == []
    assert found(CONFIG + b"---\nkind: Role\nrules: [Secret]\n") == []
    block = b"  notes: |\n    Title\n    =======\n    <<<<<<< HEAD\n"
    assert found(SEALED.replace(b"stringData:\n", b"stringData:\n" + block)) == [(9, "KS002")]
    assert found(SEALED + b"# <<<<<<< HEAD\n# =======x\n") == []
    assert found(SEALED + b"---\na: x\n ======= \n") == []


def test_a_comment_with_a_reason_allows_the_markers() -> None:
    text = b"# ksecret:allow a fixture for the parser of conflicts\n" + conflict(SEALED.decode(), SEALED.decode())
    assert (found(text), allowed(text)) == ([], 1)


@pytest.mark.parametrize("before", ["", "a: b\n---\n"])
@pytest.mark.parametrize("after", ["", "---\n<<<<<<< HEAD\na: [\n"])
def test_markers_in_quoted_text_hide_no_secret_that_kubectl_reads(before: str, after: str) -> None:
    """Neither side has all of it, and to kubectl nothing is a marker: libyaml asks no indentation of quoted lines."""
    text = f'apiVersion: v1\n? "\n<<<<<<< HEAD\n"\n: b\nkind: Secret\n? "\n=======\n"\n: c\n"d\\x61ta":\n  b: {MARK}\n'
    first = before.count("\n")
    told = found((before + text + after).encode())
    assert (first + 3, "KS016") in told
    assert any(line > first and code == "KS010" for line, code in told)
    padding = "# x" * 400_000 + "\n"
    told = found((before + padding + text + after).encode())
    assert (first + 4, "KS016") in told, "it is too large to be looked through"
