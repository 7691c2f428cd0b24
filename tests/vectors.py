"""Makes tests/data/vectors again: fixed DEKs and nonces → exact payloads, tokens, seals and file bytes.

`python -m tests.vectors` writes them; a test demands that this changes nothing. The wrapped DEKs alone are kept as
they are, since wrapping is random; they open with the throw-away identities beside them. One that lacks is made, for
the post-quantum recipient by `age-plugin-pq` and with KSECRET_AGE_PLUGINS=pq.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from secretsvc.backends import split
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.formats.ksecret import crypto as envelope
from secretsvc.formats.primitives import DEK_BYTES
from secretsvc.keyref import KeyGroups, KeyRef, KeysetChange, keyset
from secretsvc.operations.request import Request
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.keyref import Keyset

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


SEALS_OF_GROUPS = [
    # sealedFor, type, created, threshold, groups of KeyRefs
    ("prod/db-auth", "Opaque", CREATED, 2, [["age:age1first"], ["pgp:" + "A" * 40, "age:age1second"]]),
    ("prod/*", "kubernetes.io/tls", CREATED, 2, [["age:age1first"], ["age:age1second"], ["age:age1third"]]),
    ("*/*", "Opaque", CREATED, 3, [["age:age1second"], ["age:age1first"], ["age:age1second", "aws:arn:aws:kms:x"]]),
    ("db-auth", "Opaque", CREATED, 16, [[f"age:age1of{number}"] for number in range(16)]),
]

SHARES = [
    # threshold, number of groups
    (2, 2),
    (2, 3),
    (3, 3),
    (3, 5),
    (16, 16),
]

IN_GROUPS = ["groups.plain.yaml", "groups.plain.json"]
"""Files whose keys are in groups: two of three identities."""


class FixedRandom:
    """A stand-in for `os.urandom`: SHA-256 of a seed and a counter, cut to what is asked for."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._counter = 0

    def __call__(self, size: int) -> bytes:
        made = hashlib.sha256(f"ksecret test vector {self._seed} {self._counter}".encode()).digest()
        self._counter += 1
        return made[:size]


def of_field(left: int, right: int) -> int:
    """The product of two bytes in GF(2^8) by the schoolbook: shift, add, and take 0x11B off."""
    product = 0
    for bit in range(8):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(15, 7, -1):
        if product >> bit & 1:
            product ^= 0x11B << (bit - 8)
    return product


class RecordedKeyring:
    """Gives back the wrapped DEKs, and shares, that were made once for the vectors' identities."""

    def __init__(self, *, makes: bool = False) -> None:
        """`makes`: and makes those that lack."""
        self._makes = makes

    def wrap(self, ref: KeyRef, dek: bytes, _context: Mapping[str, str]) -> bytes:
        path = FOLDER / "wrapped.json"
        wrapped: dict[str, str] = json.loads(path.read_text())
        name = dek.hex() if len(dek) == DEK_BYTES and ref == _recipient() else f"{dek.hex()} {ref}"
        if self._makes and name not in wrapped:
            settings = Settings(os.environ, print)._replace(starts_plugins=True)
            wrapped[name] = Backends(settings).wrap(ref, dek, {}).hex()
            path.write_text(json.dumps(wrapped, indent=1) + "\n")
        return bytes.fromhex(wrapped[name])

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
        seal = envelope.Dek(dek).seal(sealed_for, type_, created, ([refs], 1))
        made.append(
            {"dek": dek.hex(), "sealedFor": sealed_for, "type": type_, "created": created, "keys": refs, "seal": seal}
        )
    return made


def seals_of_groups() -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for number, (sealed_for, type_, created, threshold, groups) in enumerate(SEALS_OF_GROUPS):
        dek = hashlib.sha256(f"ksecret test vector seal of groups {number}".encode()).digest()
        seal = envelope.Dek(dek).seal(sealed_for, type_, created, (groups, threshold))
        about = {"dek": dek.hex(), "sealedFor": sealed_for, "type": type_, "created": created}
        made.append({**about, "threshold": threshold, "groups": groups, "seal": seal})
    return made


def shares() -> list[dict[str, object]]:
    """Shares of fixed DEKs by fixed coefficients, worked out byte by byte, by none of our code."""
    made: list[dict[str, object]] = []
    for case, (threshold, count) in enumerate(SHARES):
        draw = FixedRandom(f"shares {case}")
        coefficients = [draw(32) for _ in range(threshold)]
        parts = []
        for x in range(1, count + 1):
            value = [0] * 32
            for coefficient in reversed(coefficients):
                value = [of_field(one, x) ^ other for one, other in zip(value, coefficient, strict=True)]
            parts.append(bytes([*value, x]).hex())
        drawn = [coefficient.hex() for coefficient in coefficients[1:]]
        about = {"dek": coefficients[0].hex(), "threshold": threshold, "coefficients": drawn}
        made.append({**about, "shares": parts})
    return made


def sealed_file(plain: Path, *, makes: bool = False) -> bytes:
    """The sealed form of a plain file with fixed randomness: first the DEK, then each token's nonce, per Secret.

    Where keys are in groups, the coefficients of the polynomial are drawn after the DEK.
    """
    keys = _groups() if plain.name in IN_GROUPS else (_recipient(),)
    change = KeysetChange(_with_post_quantum() if plain.name.startswith("post-quantum") else keys, (), ())
    request = Request(change, lambda *_: (), "", CREATED)
    fixed = FixedRandom(plain.name)
    with (
        mock.patch("os.urandom", fixed),
        mock.patch.object(envelope, "urandom", fixed),
        mock.patch("secrets.randbits", lambda bits: int.from_bytes(fixed(bits // 8), "big")),
    ):
        return seal_manifest(plain.read_bytes(), request, RecordedKeyring(makes=makes)).data


def _recipient() -> KeyRef:
    return split((FOLDER / "recipient.txt").read_text().strip())


def _with_post_quantum() -> Keyset:
    return keyset([_recipient(), split((FOLDER / "post-quantum-recipient.txt").read_text().strip())])


def _groups() -> KeyGroups:
    """Two of three: the vectors' identity, then two others, which are in the last group together with the first."""
    second, third = map(split, (FOLDER / "other-recipients.txt").read_text().split())
    return KeyGroups([[_recipient()], [second], [third, second]], 2)


def plain_files() -> list[Path]:
    return sorted(path for path in FOLDER.iterdir() if ".plain." in path.name)


def main() -> None:
    """Writes every file."""
    (FOLDER / "tokens.json").write_text(json.dumps(tokens(), indent=1, ensure_ascii=False) + "\n")
    (FOLDER / "seals.json").write_text(json.dumps(seals(), indent=1) + "\n")
    (FOLDER / "seals-of-groups.json").write_text(json.dumps(seals_of_groups(), indent=1) + "\n")
    (FOLDER / "shares.json").write_text(json.dumps(shares(), indent=1) + "\n")
    for plain in plain_files():
        plain.with_name(plain.name.replace(".plain.", ".sealed.")).write_bytes(sealed_file(plain, makes=True))


if __name__ == "__main__":
    main()
