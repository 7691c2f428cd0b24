"""Makes tests/data/vectors again: fixed DEKs and nonces → exact payloads, tokens, seals and file bytes.

`python -m tests.vectors` writes them; a test demands that this changes nothing. The wrapped DEKs alone are kept as
they are, since wrapping is random; they open with the throw-away identity beside them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pyrage

from secretsvc.backends import split
from secretsvc.formats.ksecret import crypto as envelope
from secretsvc.keyref import KeyRef, KeysetChange
from secretsvc.operations.request import Request
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent / "data" / "vectors"
CREATED = "2026-11-23T03:10:20Z"

PLACES = [
    # name, sealedFor, field, key, form, shell, content
    ("data, the usual base64", "prod/db-auth", "data", "password", 1, "", b"not-a-real-password"),
    ("data in double quotes", "prod/db-auth", "data", "username", 1, '"', b"admin"),
    ("empty value", "prod/db-auth", "data", "empty", 1, '"', b""),
    ("literal block", "prod/db-auth", "stringData", "app.yaml", 2, "|", b"db:\n  pool: 10"),
    (
        "stripped literal block",
        "prod/db-auth",
        "stringData",
        "pem",
        2,
        "|-",
        b"-----BEGIN X-----\nAAAA\n-----END X-----",
    ),
    ("folded block with a digit", "prod/db-auth", "stringData", "note", 2, ">2+", b"  indented\nfolded\n"),
    ("plain text", "prod/*", "stringData", "plain", 0, "", b"hello, world"),
    ("single quotes", "*/*", "stringData", "quoted", 0, "'", b"it''s"),
    ("double quotes with escapes", "db-auth", "stringData", "escaped", 0, '"', b"a\\n\\u00e9"),
    ("non-ASCII", "db-auth", "stringData", "text", 0, "", "Schlüssel ✓ 🔑".encode()),
    ("one byte under a block", "prod/db-auth", "stringData", "60", 0, "", b"x" * 61),
    ("a whole block", "prod/db-auth", "stringData", "61", 0, "", b"x" * 62),
    ("trailing zeros and 0x80", "prod/db-auth", "data", "bytes", 1, "", b"\x00\x80\x00\x00"),
]

SEALS = [
    # sealedFor, type, created, KeyRefs
    ("prod/db-auth", "Opaque", CREATED, ["age:age1vectorsonly"]),
    ("prod/*", "kubernetes.io/tls", CREATED, ["pgp:" + "A" * 40, "age:age1vectorsonly"]),
    (
        "*/*",
        "Opaque",
        "2026-01-01T00:00:00Z",
        ["gcp:projects/p/locations/l/keyRings/r/cryptoKeys/k", "aws:arn:aws:kms:x"],
    ),
]


class FixedRandom:
    """A stand-in for `os.urandom`: SHA-256 of a seed and a counter, cut to what is asked for."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._counter = 0

    def __call__(self, size: int) -> bytes:
        made = hashlib.sha256(f"ksecret test vector {self._seed} {self._counter}".encode()).digest()
        self._counter += 1
        return made[:size]


class RecordedKeyring:
    """Gives back the wrapped DEK that was made once for the vectors' identity."""

    def wrap(self, _ref: KeyRef, dek: bytes, _context: Mapping[str, str]) -> bytes:
        wrapped: dict[str, str] = json.loads((FOLDER / "wrapped.json").read_text())
        return bytes.fromhex(wrapped[dek.hex()])

    def unwrap(self, _keys: Mapping[str, str], _context: Mapping[str, str]) -> bytes:
        raise AssertionError("nothing is opened here")


def tokens() -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for number, (name, sealed_for, field, key, form, shell, content) in enumerate(PLACES):
        dek = hashlib.sha256(f"ksecret test vector dek {number}".encode()).digest()
        nonce = hashlib.sha256(f"ksecret test vector nonce {number}".encode()).digest()[:12]
        payload = envelope.Payload(form, shell, content)
        token = envelope.Dek(dek).seal_value(payload, sealed_for, field, key, nonce)
        made.append(
            {
                "name": name,
                "dek": dek.hex(),
                "nonce": nonce.hex(),
                "sealedFor": sealed_for,
                "field": field,
                "key": key,
                "form": form,
                "shell": shell,
                "content": content.hex(),
                "payload": payload.encoded().hex(),
                "token": token,
            }
        )
    return made


def seals() -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for number, (sealed_for, type_, created, refs) in enumerate(SEALS):
        dek = hashlib.sha256(f"ksecret test vector seal {number}".encode()).digest()
        seal = envelope.Dek(dek).seal(sealed_for, type_, created, refs)
        made.append(
            {"dek": dek.hex(), "sealedFor": sealed_for, "type": type_, "created": created, "keys": refs, "seal": seal}
        )
    return made


def sealed_file(plain: Path) -> bytes:
    """The sealed form of a plain file with fixed randomness: first the DEK, then each token's nonce, per Secret."""
    recipient = split((FOLDER / "recipient.txt").read_text().strip())
    request = Request(KeysetChange((recipient,), (), ()), lambda *_: (), "", CREATED)
    fixed = FixedRandom(plain.name)
    with mock.patch("os.urandom", fixed), mock.patch.object(envelope, "urandom", fixed):
        return seal_manifest(plain.read_bytes(), request, RecordedKeyring()).data


def plain_files() -> list[Path]:
    return sorted(path for path in FOLDER.iterdir() if ".plain." in path.name)


def main() -> None:
    """Writes every file."""
    _make_wrapped()
    (FOLDER / "tokens.json").write_text(json.dumps(tokens(), indent=1, ensure_ascii=False) + "\n")
    (FOLDER / "seals.json").write_text(json.dumps(seals(), indent=1) + "\n")
    for plain in plain_files():
        plain.with_name(plain.name.replace(".plain.", ".sealed.")).write_bytes(sealed_file(plain))


def _make_wrapped() -> None:
    """A wrapped DEK for each plain file that has none yet; every file here holds one Secret."""
    path = FOLDER / "wrapped.json"
    wrapped: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    recipient = pyrage.x25519.Recipient.from_str((FOLDER / "recipient.txt").read_text().strip().removeprefix("age:"))
    for plain in plain_files():
        dek = FixedRandom(plain.name)(32)
        if dek.hex() not in wrapped:
            wrapped[dek.hex()] = pyrage.encrypt(dek, [recipient]).hex()
    path.write_text(json.dumps(wrapped, indent=1) + "\n")


if __name__ == "__main__":
    main()
