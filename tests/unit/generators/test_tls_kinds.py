"""Certificates and keys that cryptography reads and Kubernetes does not: each is refused by its own reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from secretsvc.errors import InputError
from secretsvc.generators.tls import tls
from tests.integration.tls_support import OPENSSL, Pair, as_rsa_pss, by_openssl, damaged, new_pair, openssl

if TYPE_CHECKING:
    from pathlib import Path

P256 = new_pair("p256")
RSA = new_pair("rsa2048")

needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not on this machine")


@needs_openssl
def test_a_negative_serial_number(tmp_path: Path) -> None:
    cert, key = by_openssl(tmp_path, "negative", "genpkey", "-algorithm", "ED25519", serial="-5")
    with pytest.raises(InputError, match="--cert: malformed certificate: negative serial number"):
        tls(cert, key)


@needs_openssl
def test_a_serial_number_of_zero_is_taken_without_a_word(tmp_path: Path) -> None:
    cert, key = by_openssl(tmp_path, "zero", "genpkey", "-algorithm", "ED25519", serial="0")
    assert tls(cert, key) == {"tls.crt": cert, "tls.key": key}


@needs_openssl
def test_a_certificate_with_its_curve_in_numbers(tmp_path: Path) -> None:
    making = ("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit")
    cert, _ = by_openssl(tmp_path, "explicit", *making)
    with pytest.raises(InputError, match="--cert: unsupported elliptic curve") as caught:
        tls(cert, P256.key)
    assert "by its name" in caught.value.hint


@needs_openssl
def test_a_key_with_its_curve_in_numbers(tmp_path: Path) -> None:
    (tmp_path / "named.pem").write_bytes(P256.key)
    openssl(tmp_path, "ec", "-in", "named.pem", "-param_enc", "explicit", "-out", "explicit.pem")
    with pytest.raises(InputError, match="--key: failed to parse the private key: unsupported elliptic curve"):
        tls(P256.cert, (tmp_path / "explicit.pem").read_bytes())


@pytest.mark.parametrize(
    ("pair", "key", "message"),
    [
        (RSA, as_rsa_pss(RSA.private), "failed to parse the private key: not an RSA, ECDSA or Ed25519 key"),
        (RSA, damaged(RSA.private, 3), "failed to parse the private key: its numbers do not fit together"),
        (P256, new_pair("brainpool").key, "failed to parse the private key: unsupported elliptic curve"),
    ],
    ids=["RSA-PSS", "RSA with another exponent", "brainpool"],
)
def test_a_key_of_a_kind_that_kubernetes_does_not_take(pair: Pair, key: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"--key: {message}"):
        tls(pair.cert, key)


def test_a_key_that_can_not_sign() -> None:
    agreement = x25519.X25519PrivateKey.generate()
    key = agreement.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(InputError, match="--key: unknown private key type"):
        tls(P256.cert, key)


def test_an_encrypted_key_is_told_from_a_damaged_one() -> None:
    locked = P256.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    with pytest.raises(InputError, match="--key: failed to parse the private key: it is encrypted") as caught:
        tls(P256.cert, locked)
    assert "decrypt it first" in caught.value.hint
