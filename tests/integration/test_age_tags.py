"""Recipients `age1tag1…`: what hardware keys have. What is wrapped to one opens by its P-256 key and the specification.

The key is one in memory here: no YubiKey and no TPM took part.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import secretsvc
from secretsvc.backends import canonical, stated, verify
from secretsvc.errors import KeyRefError
from tests.support import LOCK

if TYPE_CHECKING:
    from collections.abc import Callable

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
KEY = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
CLEAR = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  k: not-a-real-value\n"


def bech32(prefix: str, data: bytes) -> str:
    """BIP 173, by its own text."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    words = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    expanded = [*(ord(one) >> 5 for one in prefix), 0, *(ord(one) & 31 for one in prefix)]
    rest = 1
    for word in (*expanded, *words, *[0] * 6):
        top = rest >> 25
        rest = (rest & 0x1FFFFFF) << 5 ^ word
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            rest ^= generator if top >> bit & 1 else 0
    checksum = [(rest ^ 1) >> 5 * (5 - at) & 31 for at in range(6)]
    return prefix + "1" + "".join(LETTERS[word] for word in [*words, *checksum])


def recipient(key: ec.EllipticCurvePrivateKey) -> str:
    return bech32("age1tag", key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


RECIPIENT = recipient(KEY)


def hkdf_extract(salt: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), material, "sha256")


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    return hmac.digest(key, info + b"\1", "sha256")[:length]


def extract(of: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hkdf_extract(salt, b"HPKE-v1" + of + label + material)


def expand(of: bytes, secret: bytes, label: bytes, about: bytes, length: int) -> bytes:
    return hkdf_expand(secret, length.to_bytes(2, "big") + b"HPKE-v1" + of + label + about, length)


def uncompressed(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def agreed(key: ec.EllipticCurvePrivateKey, sent: bytes) -> bytes:
    return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sent))


def dhkem(key: ec.EllipticCurvePrivateKey, sent: bytes) -> bytes:
    """RFC 9180, DHKEM(P-256, HKDF-SHA256)."""
    kem = b"KEM" + b"\0\x10"
    drawn = extract(kem, b"", b"eae_prk", agreed(key, sent))
    return expand(kem, drawn, b"shared_secret", sent + uncompressed(key), 32)


def hpke_open(kem: bytes, secret: bytes, sealed: bytes, info: bytes) -> bytes:
    """RFC 9180, base mode, from the secret of that KEM on: HKDF-SHA256, ChaCha20Poly1305."""
    suite = b"HPKE" + kem + b"\0\1\0\3"
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    scheduled = extract(suite, secret, b"secret", b"")
    nonce = expand(suite, scheduled, b"base_nonce", context, 12)
    return ChaCha20Poly1305(expand(suite, scheduled, b"key", context, 32)).decrypt(nonce, sealed, b"")


def unpadded(text: bytes) -> bytes:
    return b64decode(text + b"=" * (-len(text) % 4))


def opened_by_key(wrapped: bytes, type_: bytes, kem: bytes, secret_of: Callable[[bytes], bytes]) -> bytes:
    """age-encryption.org/v1 by its text: the file key of the stanza of that type, and the payload's one chunk."""
    header, _, rest = wrapped.partition(b"\n--- ")
    lines = header.split(b"\n")
    at = next(at for at, line in enumerate(lines) if line.startswith(b"-> %s " % type_))
    _, _, _, sent = lines[at].split(b" ")
    secret = secret_of(unpadded(sent))
    file_key = hpke_open(kem, secret, unpadded(lines[at + 1]), b"age-encryption.org/" + type_)
    nonce, sealed = rest[44:60], rest[60:]
    payload_key = hkdf_expand(hkdf_extract(nonce, file_key), b"payload", 32)
    return ChaCha20Poly1305(payload_key).decrypt(bytes(11) + b"\1", sealed, b"")


def test_what_is_wrapped_to_a_hardware_key_s_recipient_opens_by_its_key_alone() -> None:
    dek = os.urandom(32)
    wrapped = LOCK.keyring.wrap(canonical(f"age:{RECIPIENT}"), dek, {})
    assert opened_by_key(wrapped, b"p256tag", b"\0\x10", partial(dhkem, KEY)) == dek


def test_a_secret_is_sealed_to_it_beside_others_and_opens_by_them() -> None:
    sealed = secretsvc.encrypt(CLEAR, LOCK.keyring, to=[RECIPIENT, *LOCK.keys])  # type: ignore[arg-type]
    assert f"age:{RECIPIENT}: ".encode() in sealed
    assert LOCK.open_(sealed) == CLEAR
    alone = secretsvc.encrypt(CLEAR, LOCK.keyring, to=[RECIPIENT])  # type: ignore[arg-type]
    with pytest.raises(secretsvc.NoKeyError, match="none of the age identities at hand opens it"):
        LOCK.open_(alone)


def test_it_has_one_spelling_and_a_checksum() -> None:
    assert str(canonical(f"age:{RECIPIENT.upper()}")) == f"age:{RECIPIENT}"
    assert stated(f"age:{RECIPIENT}").id == RECIPIENT
    verify(f"age:{RECIPIENT}")
    wrong = RECIPIENT[:12] + ("q" if RECIPIENT[12] != "q" else "p") + RECIPIENT[13:]
    with pytest.raises(KeyRefError, match="it was cut, or a letter of it changed"):
        verify(f"age:{wrong}")
    off_the_curve = bech32("age1tag", b"\2" + b"\xff" * 32)
    with pytest.raises(KeyRefError, match="not an age recipient"):
        LOCK.keyring.wrap(canonical(f"age:{off_the_curve}"), bytes(32), {})
