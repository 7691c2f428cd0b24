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

from secretsvc import shamir
from secretsvc.errors import AlteredError
from secretsvc.formats.ksecret.crypto import Dek, Payload
from tests import vectors

RECORDED = {"tokens.json": 13, "seals.json": 3, "seals-of-groups.json": 4, "shares.json": 5}
PLAIN_FILES = 8


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


def independent_seal_of_groups(dek: bytes, about: list[str], threshold: int, groups: list[list[str]]) -> str:
    message = b"".join(lp(text.encode()) for text in ("ksecret/v1 seal groups", *about))
    message += threshold.to_bytes(4, "big") + len(groups).to_bytes(4, "big")
    for refs in groups:
        message += len(refs).to_bytes(4, "big") + b"".join(lp(ref) for ref in sorted(ref.encode() for ref in refs))
    return b64encode(hmac.digest(hkdf(dek, b"ksecret/v1 seal"), message, "sha256")).decode()


def independently_joined(shares: list[bytes]) -> bytes:
    """Lagrange's formula at 0, byte by byte; the inverse of a number is found by trying all."""
    dek = bytearray(32)
    for share in shares:
        factor = 1
        for other in (one[-1] for one in shares if one != share):
            inverse = next(one for one in range(256) if vectors.of_field(one, other ^ share[-1]) == 1)
            factor = vectors.of_field(factor, vectors.of_field(other, inverse))
        dek = bytearray(a ^ vectors.of_field(b, factor) for a, b in zip(dek, share[:-1], strict=True))
    return bytes(dek)


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

    refs = case["keys"]
    assert Dek(dek).seal(*parts[:3], ([refs], 1)) == case["seal"] == independent_seal(dek, *parts)
    Dek(dek).check_seal(case["seal"], *parts[:3], ([refs], 1))
    Dek(dek).check_seal(case["seal"], *parts[:3], ([list(reversed(refs))], 1))
    with pytest.raises(AlteredError, match="seal does not fit"):
        Dek(dek).check_seal(case["seal"], *parts[:3], ([[*refs, "age:age1more"]], 1))


@pytest.mark.parametrize("case", load("seals-of-groups.json"), ids=lambda case: case["sealedFor"])
def test_seal_of_groups(case: dict[str, Any]) -> None:
    dek, about = bytes.fromhex(case["dek"]), [case["sealedFor"], case["type"], case["created"]]
    groups, threshold = case["groups"], case["threshold"]

    assert Dek(dek).seal(*about, (groups, threshold)) == case["seal"]
    assert independent_seal_of_groups(dek, about, threshold, groups) == case["seal"]
    Dek(dek).check_seal(case["seal"], *about, ([list(reversed(group)) for group in groups], threshold))
    others = [
        ([[*groups[0], "age:age1more"], *groups[1:]], threshold),
        (list(reversed(groups)), threshold),
        (groups, threshold + 1),
        ([*groups, ["age:age1more"]], threshold),
        ([[ref for group in groups for ref in group]], 1),
    ]
    for other in others:
        assert not Dek(dek).seal_fits(case["seal"], *about, other), other


@pytest.mark.parametrize("case", load("shares.json"), ids=lambda case: f"{case['threshold']} of {len(case['shares'])}")
def test_shares(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    dek, threshold = bytes.fromhex(case["dek"]), case["threshold"]
    drawn = [int(text, 16) for text in case["coefficients"]]
    monkeypatch.setattr("secrets.randbits", lambda bits: drawn.pop(0) if bits == 256 else 1 / 0)
    shares = list(map(bytes.fromhex, case["shares"]))

    assert list(shamir.split(dek, threshold, len(shares))) == shares
    assert [(len(share), share[-1]) for share in shares] == [(33, number + 1) for number in range(len(shares))]
    for chosen in (shares[:threshold], shares[-threshold:], shares):
        assert shamir.combine(tuple(chosen)) == dek == independently_joined(chosen)
    if threshold > 2:
        assert shamir.combine(tuple(shares[: threshold - 1])) != dek


def test_vectors_regenerate_clean() -> None:
    assert vectors.tokens() == load("tokens.json")
    assert vectors.seals() == load("seals.json")
    assert vectors.seals_of_groups() == load("seals-of-groups.json")
    assert vectors.shares() == load("shares.json")


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


def test_a_post_quantum_recipient_is_in_the_seal_and_both_its_files_say_the_same_of_it() -> None:
    ref = (vectors.FOLDER / "post-quantum-recipient.txt").read_text().strip()
    identity = pyrage.x25519.Identity.from_str((vectors.FOLDER / "identity.txt").read_text().splitlines()[-1])
    in_json = json.loads((vectors.FOLDER / "post-quantum.sealed.json").read_text())
    for root in (*yaml.safe_load_all((vectors.FOLDER / "post-quantum.sealed.yaml").read_text()), in_json):
        sealed = root["ksecret"]
        own = f"age:{identity.to_public()}"
        assert sorted(sealed["keys"]) == [ref, own] if ref < own else [own, ref]
        dek = pyrage.decrypt(b64decode(sealed["keys"][own]), [identity])
        about = [sealed["sealedFor"], "Opaque", sealed["created"]]
        assert sealed["seal"] == independent_seal(dek, *about, list(sealed["keys"]))
        assert b"-> mlkem768x25519 " in b64decode(sealed["keys"][ref])


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)], ids=str)
def test_a_file_with_groups_opens_by_the_text_of_format_alone(pair: tuple[int, int]) -> None:
    root = yaml.safe_load((vectors.FOLDER / "groups.sealed.yaml").read_text())
    words = "".join((vectors.FOLDER / name).read_text() for name in ("identity.txt", "other-identities.txt")).split(
        "\n"
    )
    identities = [pyrage.x25519.Identity.from_str(word) for word in words if word.startswith("AGE-")]
    sealed = root["ksecret"]
    groups = [list(group) for group in sealed["groups"]]

    def share(number: int) -> bytes:
        wrapped = sealed["groups"][number][f"age:{identities[number].to_public()}"]
        return bytes(pyrage.decrypt(b64decode(wrapped), [identities[number]]))

    dek = independently_joined([share(number) for number in pair])
    about = [sealed["sealedFor"], "Opaque", sealed["created"]]
    assert sealed["seal"] == independent_seal_of_groups(dek, about, sealed["threshold"], groups)
    payload = independent_payload(root["data"]["password"], dek, sealed["sealedFor"], "data", "password")
    assert payload[2 + payload[1] :].rstrip(b"\0")[:-1] == b"not-a-real-password"


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
