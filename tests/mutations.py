"""Documents that a person, a merge or an attacker has spoilt: real manifests with a few random changes of their text.

Everything follows from a seed, so a failure names the one number that brings it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import DATA

if TYPE_CHECKING:
    from random import Random

LARGEST = 20_000
"""Bytes: larger manifests of the corpus show nothing more, and take long."""

FRAGMENTS = (
    *("---\n", "---# x\n", "...\n", "%YAML 1.1\n", "%TAG ! tag:x,2000:\n", "\n", "\r\n", "\r", "\t", " ", "  ", "\0"),
    *(
        "&a ",
        "*a ",
        "<<: *a\n",
        "<<: {kind: Secret}\n",
        "!!binary ",
        "!!str ",
        "!x ",
        "? ",
        "- ",
        ": ",
        "# ",
        " #",
        ",",
    ),
    *("'", '"', "''", '\\"', "\\x41", "\\u0000", "\\\n", "|", "|-", "|2", "|+", ">", ">-", "{", "}", "[", "]", "{}"),
    *("ksecret:\n", "ksecret.v1.", "# kubesec:v:3\n", "# kubesec:pgp:", "sops: {}\n", "version: 1\n", "keys: {}\n"),
    *("kind: Secret\n", "kind: List\nitems:\n", "apiVersion: v1\n", "data:\n", "stringData:\n", "metadata: {}\n"),
    *("type: x\n", "name: b\n", "namespace: c\n", "immutable: true\n", "conflict: {}\n", ".CONFLICT", "a: b\n"),
    *("~", "null", "true", "0x1F", "1e3", "=", "==", "AAAA", "eHg=", "é", "\u2028", "\x85", "\ufeff", "\U0001f511"),
    *("{{ x }}", "${X}", "<<<<<<< ours\n", "=======\n", ">>>>>>> theirs\n", '{"kind":"Secret"}', "age:", "pgp:-o"),
)


def corpus() -> list[bytes]:
    """The manifests that are sealed in tests, and those that are refused."""
    paths = sorted(path for name in ("manifests", "refused") for path in (DATA / name).iterdir())
    texts = [path.read_bytes() for path in paths if path.suffix in (".yaml", ".yml", ".json")]
    return [text for text in texts if len(text) <= LARGEST]


def mutated(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """The text after one to four changes, a piece of another document's among them at times."""
    for _ in range(random.randint(1, 4)):
        data = random.choice((_byte, _fragment, _fragment, _cut, _lines, _indentation, _twice, _foreign))(
            random, data, others
        )
    return data


def _byte(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes((random.choice((random.randrange(256), *b" :-#\n'\"{}|>&*!=AZaz09+/")),)) + data[at + 1 :]


def _fragment(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at = _place(random, data)
    return data[:at] + random.choice(FRAGMENTS).encode() + data[at:]


def _cut(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at = _place(random, data)
    return data[:at] + data[at + random.choice((1, 1, 2, 5, 20, 100)) :]


def _lines(random: Random, data: bytes, _: list[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return data
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(3):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            del lines[one]
        case _:
            lines.insert(other, lines[one])
    return b"".join(lines)


def _indentation(random: Random, data: bytes, _: list[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    at = random.randrange(len(lines))
    lines[at] = b" " * random.randrange(9) + lines[at].lstrip(b" ")
    return b"".join(lines)


def _twice(random: Random, data: bytes, _: list[bytes]) -> bytes:
    match random.randrange(4):
        case 0:
            return data + random.choice((b"", b"---\n", b"\n---\n")) + data
        case 1:
            return data.replace(b"\n", b"\r\n")
        case 2:
            return b"\xef\xbb\xbf" + data
        case _:
            return data.rstrip()


def _foreign(random: Random, data: bytes, others: list[bytes]) -> bytes:
    other = random.choice(others)
    start = _place(random, other)
    piece = other[start : start + random.choice((10, 50, 200, 1000))]
    at = _place(random, data)
    return data[:at] + piece + data[at:]


def _place(random: Random, data: bytes) -> int:
    """Often the start of a line, where a change of structure hits."""
    at = random.randrange(len(data) + 1)
    return data.rfind(b"\n", 0, at) + 1 if random.random() < 0.5 else at
