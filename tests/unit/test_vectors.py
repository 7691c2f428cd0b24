"""The published vectors, checked against our code and against FORMAT's text by a second implementation of it."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from typing import Any

import pyrage
import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secretsvc.errors import AlteredError
from secretsvc.formats.ksecret.crypto import Dek, Payload
from tests import vectors

RECORDED = {"tokens.json": 13, "seals.json": 3}
PLAIN_FILES = 4


def load(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((vectors.FOLDER / name).read_text())
    assert len(cases) >= RECORDED[name], f"{name} lost cases"
    return cases


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with an empty salt and one block of output, from HMAC alone."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def lp(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def independent_payload(token: str, dek: bytes, sealed_for: str, field: str, key: str) -> bytes:
    raw = b64decode(token.removeprefix("ksecret.v1."))
    aad = b"ksecret/v1 value\0" + sealed_for.encode() + b"\0" + field.encode() + b"\0" + key.encode()
    return AESGCM(hkdf(dek, b"ksecret/v1 enc")).decrypt(raw[:12], raw[12:], aad)


def independent_seal(dek: bytes, sealed_for: str, type_: str, created: str, refs: list[str]) -> str:
    message = lp(b"ksecret/v1 seal") + lp(sealed_for.encode()) + lp(type_.encode()) + lp(created.encode())
    message += len(refs).to_bytes(4, "big") + b"".join(lp(ref) for ref in sorted(ref.encode() for ref in refs))
    return b64encode(hmac.digest(hkdf(dek, b"ksecret/v1 seal"), message, "sha256")).decode()


@pytest.mark.parametrize("case", load("tokens.json"), ids=lambda case: case["name"])
def test_token(case: dict[str, Any]) -> None:
    dek, place = bytes.fromhex(case["dek"]), (case["sealedFor"], case["field"], case["key"])
    payload = Payload(case["form"], case["shell"], bytes.fromhex(case["content"]))

    assert payload.encoded().hex() == case["payload"]
    assert len(case["payload"]) // 2 % 64 == 0
    assert Dek(dek).seal_value(payload, *place, bytes.fromhex(case["nonce"])) == case["token"]
    assert Dek(dek).open_value(case["token"], *place) == payload
    assert independent_payload(case["token"], dek, *place).hex() == case["payload"]


@pytest.mark.parametrize("case", load("seals.json"), ids=lambda case: case["sealedFor"])
def test_seal(case: dict[str, Any]) -> None:
    dek, parts = bytes.fromhex(case["dek"]), (case["sealedFor"], case["type"], case["created"], case["keys"])

    assert Dek(dek).seal(*parts) == case["seal"] == independent_seal(dek, *parts)
    Dek(dek).check_seal(case["seal"], *parts)
    Dek(dek).check_seal(case["seal"], *parts[:3], list(reversed(case["keys"])))
    with pytest.raises(AlteredError, match="seal does not fit"):
        Dek(dek).check_seal(case["seal"], *parts[:3], [*case["keys"], "age:age1more"])


def test_vectors_regenerate_clean() -> None:
    assert vectors.tokens() == load("tokens.json")
    assert vectors.seals() == load("seals.json")


def test_files_regenerate_clean() -> None:
    plain_files = vectors.plain_files()
    assert len(plain_files) >= PLAIN_FILES
    for plain in plain_files:
        sealed = plain.with_name(plain.name.replace(".plain.", ".sealed."))
        assert vectors.sealed_file(plain) == sealed.read_bytes(), plain.name


def test_a_sealed_file_opens_by_the_text_of_format_alone() -> None:
    """No code of ours between the file and the values: PyYAML, age, and the functions above."""
    root = yaml.safe_load((vectors.FOLDER / "basic.sealed.yaml").read_text())
    identity = pyrage.x25519.Identity.from_str((vectors.FOLDER / "identity.txt").read_text().splitlines()[-1])
    sealed = root["ksecret"]
    (wrapped,) = sealed["keys"].values()
    dek = pyrage.decrypt(b64decode(wrapped), [identity])
    assert sealed["seal"] == independent_seal(
        dek, sealed["sealedFor"], "Opaque", sealed["created"], list(sealed["keys"])
    )

    def content(field: str, key: str) -> bytes:
        payload = independent_payload(root[field][key].rstrip("\n"), dek, sealed["sealedFor"], field, key)
        return payload[2 + payload[1] :].rstrip(b"\0")[:-1]

    assert content("data", "password") == b"not-a-real-password"
    assert content("data", "username") == b"admin"
    assert content("stringData", "note") == b"it's plain"
    assert content("stringData", "app.yaml") == b"db:\n  pool: 10\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(64),
        b"\x00\x00\x80" + bytes(125),
        b"\x03\x00\x80" + bytes(61),
        b"\x00\x05\x80" + bytes(61),
        b"\x00\x00" + b"x" * 62,
    ],
    ids=["empty", "no end mark", "too many blocks", "unknown form", "shell beyond the end", "no padding"],
)
def test_a_payload_that_no_writer_makes_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"padding|form"):
        Payload.decoded(data)


def test_a_dek_of_another_length_is_refused() -> None:
    with pytest.raises(AlteredError, match="not 32 bytes"):
        Dek(b"short")


def test_nothing_secret_is_in_a_repr() -> None:
    secret = hashlib.sha256(b"dek").digest()
    assert repr(Dek(secret)) == "Dek(masked)"
    assert "hunter2" not in repr(Payload(0, "", b"hunter2"))
