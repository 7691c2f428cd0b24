"""The cryptography of kubesec's format takes nothing that kubesec does not make."""

from __future__ import annotations

from base64 import b64decode, b64encode
from os import urandom

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secretsvc.errors import AlteredError
from secretsvc.formats.kubesec.crypto import Dek

SECRET = bytes(range(32))
TEXTS = {("data", "a"): "YQ=="}


def token(*parts: bytes) -> str:
    return ".".join(b64encode(part).decode() for part in parts)


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_a_data_key_has_32_bytes(length: int) -> None:
    """AES-GCM would take 16 and 24 as well."""
    with pytest.raises(AlteredError, match="the wrapped data key is not 32 bytes long"):
        Dek(bytes(length))


def test_a_token_has_an_iv_of_12_bytes_and_a_tag_of_16_and_no_empty_part() -> None:
    dek, clear = Dek(SECRET), b"YQ==".ljust(48, b"\0")

    def made(iv: bytes) -> tuple[bytes, bytes]:
        box = AESGCM(SECRET).encrypt(iv, clear, b"a")
        return box[:-16], box[-16:]

    iv = urandom(12)
    ciphertext, tag = made(iv)
    assert dek.open_value(token(ciphertext, iv, tag), "a") == "YQ=="
    long_iv = urandom(13)
    other, its_tag = made(long_iv)
    odd = [
        token(other, long_iv, its_tag),
        token(ciphertext + tag[:1], iv, tag[1:]),
        token(ciphertext[:-1], iv, ciphertext[-1:] + tag),
        token(b"", iv, ciphertext + tag),
        token(iv, ciphertext + tag),
        token(ciphertext + tag, iv, b""),
        token(ciphertext, iv, tag, b""),
        token(ciphertext + iv + tag),
    ]
    for text in odd:
        with pytest.raises(AlteredError, match="the value of a was altered"):
            dek.open_value(text, "a")


def test_the_same_of_a_mac() -> None:
    dek = Dek(SECRET)
    mac = dek.mac(TEXTS, ["K"])
    assert dek.mac_fits(mac, TEXTS, ["K"])
    iv, tag = map(b64decode, mac.split("."))
    long_iv = urandom(13)
    for odd in (
        token(long_iv, AESGCM(SECRET).encrypt(long_iv, b"", b"aYQ==K")),
        token(b"", iv, tag),
        token(tag[:1], iv, tag[1:]),
        token(iv + tag),
        dek.seal_value("x", "aYQ==K"),
        "",
    ):
        assert not dek.mac_fits(odd, TEXTS, ["K"])
