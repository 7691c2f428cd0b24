"""A manifest with its tokens shortened: what stays, what is hidden, and that nothing ever fails."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretsvc.cli.main import main
from secretsvc.errors import NoKeyError
from secretsvc.operations import textconv
from secretsvc.operations.textconv import structure, with_values
from tests.support import DATA, LOCK, new_lock, seal
from tests.unit.strategies import manifests

if TYPE_CHECKING:
    from pathlib import Path

CLEAR = b"""\
apiVersion: v1
kind: Secret
metadata: {name: a}  # a label
data:
  "quoted": "aGk="
  bytes: //4=
stringData:
  block: |2-
      text
  plain: ksecret.v2.not-a-token
"""


def test_tokens_become_fingerprints_and_all_else_stays() -> None:
    sealed = seal(CLEAR)
    shown = structure(sealed).decode()
    pattern = re.escape(sealed.decode())
    pattern = re.sub(r"ksecret\\\.v1\\\.[A-Za-z0-9/=\\+]+", "<sealed [0-9a-f]{12}>", pattern)
    pattern = re.sub(r"(age1[a-z0-9]+:\\ )[A-Za-z0-9/=\\+]+", r"\1<wrapped [0-9a-f]{12}>", pattern)
    pattern = re.sub(r"(seal:\\ )[A-Za-z0-9/=\\+]+", r"\1<seal [0-9a-f]{12}>", pattern)
    assert re.fullmatch(pattern, shown), shown
    assert shown == structure(sealed).decode()
    assert len(set(re.findall("<sealed .*?>", shown))) == 4


def test_values_are_shown_as_text_where_they_are_text() -> None:
    shown = with_values(seal(CLEAR), lambda: LOCK.keyring).decode()
    assert shown.partition("ksecret:\n")[0] == (
        CLEAR.decode().replace('"aGk="', '"hi"').replace("|2-\n      text", '"  text"')
    )
    assert "<wrapped " in shown


PEM = "-----BEGIN X-----\nabc\n-----END X-----\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (PEM, "|\n    -----BEGIN X-----\n    abc\n    -----END X-----"),
        ("a\nb", "|-\n    a\n    b"),
        ("a\n", '"a\\n"'),
        ("a\r\nb\r\n", '"a\\r\\n\n    b\\r\\n"'),
        ("\n a\n\tb\n\n", '"\\n\n     a\\n\n    \\tb\\n\n    \\n"'),
        ("Größe ✓\nb \\n", '"Größe ✓\\n\n    b \\\\n"'),
    ],
)
def test_a_value_of_several_lines_is_shown_line_by_line(text: str, shown: str) -> None:
    head = "kind: Secret\napiVersion: v1\nmetadata: {name: a}\ndata:\n  key: "
    sealed = seal(f"{head}{b64encode(text.encode()).decode()}\n".encode())
    assert with_values(sealed, lambda: LOCK.keyring).decode().startswith(f"{head}{shown}\nksecret:\n")


def test_a_comment_behind_a_value_of_several_lines_stays_outside_of_it() -> None:
    head = "kind: Secret\napiVersion: v1\nmetadata: {name: a}\ndata:\n  key: "
    sealed = seal(f"{head}{b64encode(PEM.encode()).decode()}  # why\n".encode())
    shown = with_values(sealed, lambda: LOCK.keyring).decode().removeprefix(head)
    assert shown.startswith('"-----BEGIN X-----\\n\n    abc\\n\n    -----END X-----\\n"  # why\nksecret:\n')


def test_a_value_of_several_lines_is_shown_so_in_json_too() -> None:
    value = b64encode(PEM.encode()).decode()
    sealed = seal(
        f'{{"kind":"Secret","apiVersion":"v1","metadata":{{"name":"a"}},"data":{{"key":"{value}"}}}}'.encode()
    )
    shown = with_values(sealed, lambda: LOCK.keyring).decode()
    assert '"key":"-----BEGIN X-----\\n\n  abc\\n\n  -----END X-----\\n"}' in shown


def test_each_secret_opens_for_itself() -> None:
    mine, other = seal(CLEAR), new_lock().seal(CLEAR)
    both = with_values(mine + b"---\n" + other, lambda: LOCK.keyring)
    assert both == with_values(mine, lambda: LOCK.keyring) + b"---\n" + structure(other)
    assert b"<sealed" not in both.partition(b"---")[0]


def test_the_keyring_is_not_asked_for_without_need() -> None:
    def refuse() -> None:
        raise NoKeyError("asked")

    assert with_values(b"a: b\n", refuse) == b"a: b\n"  # type: ignore[arg-type]
    sealed = seal(CLEAR)
    assert with_values(sealed, refuse) == structure(sealed)  # type: ignore[arg-type]


def test_values_in_the_clear_are_left_out() -> None:
    shown = structure(CLEAR)
    assert shown.count(b"<in the clear>") == 4
    assert b"aGk=" not in shown
    assert structure(b'{"apiVersion":"v1","kind":"Secret","data":{"a":"YQ==","b":""}}') == (
        b'{"apiVersion":"v1","kind":"Secret","data":{"a":"<in the clear>","b":""}}'
    )


def test_kubesec() -> None:
    token = ".".join(b64encode(bytes([number]) * size).decode() for number, size in enumerate((12, 12, 16)))
    text = (
        f"apiVersion: v1\nkind: Secret\ndata:\n  a: {token}\n  b: {token[17:]}\n# kubesec:v:3\r\n"
        f"# kubesec:pgp:AAAA:{token[:16]}\n# kubesec:aws:arn:aws:kms:x:1:key/1:{token[:16]}\n"
        f"# kubesec:mac:{token[17:]}\n"
    )
    shown = structure(text.encode()).decode()
    assert re.sub("[0-9a-f]{12}>", ">", shown) == (
        "apiVersion: v1\nkind: Secret\ndata:\n  a: <sealed >\n  b: <sealed >\n# kubesec:v:3\r\n"
        "# kubesec:pgp:AAAA:<wrapped >\n# kubesec:aws:arn:aws:kms:x:1:key/1:<wrapped >\n# kubesec:mac:<mac >\n"
    )
    assert with_values(text.encode(), lambda: LOCK.keyring) == structure(text.encode())


@pytest.mark.parametrize("path", sorted((DATA / "vectors").glob("*.sealed.*")), ids=lambda path: path.name)
def test_no_token_is_left_in_any_vector(path: Path) -> None:
    shown = structure(path.read_bytes())
    assert b"ksecret.v1." not in shown
    assert b"<sealed " in shown


@given(st.binary() | manifests().map(lambda written: written.data))
def test_nothing_fails(data: bytes) -> None:
    structure(data)
    with_values(data, lambda: LOCK.keyring)


def test_tokens_are_shortened_where_nothing_parses() -> None:
    sealed = seal(CLEAR)
    broken = structure(b"<<<<<<< ours\n" + sealed + b"\xff=======\n")
    assert b"ksecret.v1." not in broken
    assert broken.startswith(b"<<<<<<< ours\napiVersion: v1\n")
    assert broken.endswith(b"\xff=======\n")


@pytest.mark.parametrize(
    ("words", "broken", "expected"),
    [
        ([], ["structure"], b"a: b\n"),
        (["--show"], ["with_values"], b"# ksecret: values can't be shown (ZeroDivisionError)\na: b\n"),
        (["--show"], ["with_values", "structure"], b"# ksecret: values can't be shown (ZeroDivisionError)\na: b\n"),
    ],
)
def test_an_error_of_our_own_does_not_stop_a_log(
    words: list[str],
    broken: list[str],
    expected: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    for name in broken:
        monkeypatch.setattr(textconv, name, lambda *_: 1 // 0)
    (tmp_path / "f").write_bytes(b"a: b\n")
    assert main(["git", "textconv", *words, str(tmp_path / "f")]) == 0
    assert capsysbinary.readouterr().out == expected


def test_structure_and_merge_import_no_cryptography_and_no_backend() -> None:
    code = (
        "import sys, secretsvc.cli.verbs.git, secretsvc.operations.merge, secretsvc.operations.textconv as t\n"
        f"t.structure({seal(CLEAR)!r})\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('cryptography', 'pyrage') or '.backends.' in m])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"[]\n"
