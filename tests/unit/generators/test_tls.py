"""TLS Secrets: what is told of certificates that are taken, and PKCS#12."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from secretsvc.errors import InputError
from secretsvc.generators.golang.pem import blocks
from secretsvc.generators.pkcs12 import from_pkcs12
from secretsvc.generators.tls import certificate_blocks, tls
from secretsvc.generators.tls_advice import advice
from tests.integration.tls_support import NOW, OPENSSL, Pair, by_openssl, new_pair, openssl

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

ROOT = new_pair("p256", "root")
MIDDLE = new_pair("p256", "middle", ROOT)
LEAF = new_pair("p256", "web", MIDDLE)


def told(cert: bytes) -> list[str]:
    return list(advice(cert, NOW))


def test_nothing_is_told_of_a_sound_chain() -> None:
    assert told(LEAF.cert) == told(LEAF.cert + MIDDLE.cert) == told(LEAF.cert + MIDDLE.cert + ROOT.cert) == []


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (new_pair(days=(-100, -1)), "the certificate expired on 2026-05-31"),
        (new_pair(days=(-100, 29)), "the certificate expires on 2026-06-30, in 29 days"),
        (new_pair(days=(1, 300)), "the certificate is not valid before 2026-06-02"),
        (new_pair(names=False), "no subject alternative names"),
        (new_pair("rsa1024"), "weak: RSA with 1024 bits, under 2048"),
        (new_pair("p224"), "weak: an elliptic curve of 224 bits, under 256"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_will_hurt_is_told(pair: Pair, message: str) -> None:
    (line,) = told(pair.cert)
    assert message in line
    assert line.startswith(("--cert: ", "--key: "))


def test_a_chain_in_the_wrong_order_is_told() -> None:
    (line,) = told(LEAF.cert + ROOT.cert + MIDDLE.cert)
    assert "wrong order of the chain: certificate 2 did not sign" in line
    (line,) = told(LEAF.cert + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "certificate 2 of the file can't be read" in line
    assert next(advice(LEAF.cert, NOW + timedelta(days=290))).endswith("in 10 days")


def test_the_pair_is_kept_byte_for_byte() -> None:
    cert, key = b"text\r\n" + LEAF.cert + b"more", LEAF.key + b"\n\n"
    assert tls(cert, key) == {"tls.crt": cert, "tls.key": key}


def test_errors_name_flag_and_file_and_show_no_key() -> None:
    with pytest.raises(InputError, match="--key: the private key does not match the certificate") as caught:
        tls(LEAF.cert, ROOT.key, "c.pem", "k.pem")
    assert caught.value.file == "k.pem"
    broken = LEAF.key.replace(b"-----BEGIN", b"----BEGIN")
    with pytest.raises(InputError, match="--key: no PEM data") as caught:
        tls(LEAF.cert, broken, "c.pem", "k.pem")
    assert LEAF.key.split(b"\n")[1].decode() not in caught.value.message + caught.value.hint


def test_der_and_pkcs12_are_named() -> None:
    with pytest.raises(InputError, match="--cert: no PEM data") as caught:
        tls(LEAF.certificate.public_bytes(Encoding.DER), LEAF.key)
    assert "--pkcs12" in caught.value.hint


@pytest.mark.parametrize("password", [None, b"pass"])
def test_pkcs12_becomes_a_chain_in_order_and_its_key(password: bytes | None) -> None:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    others = [ROOT.certificate, MIDDLE.certificate]
    store = serialize_key_and_certificates(b"web", LEAF.private, LEAF.certificate, others, lock)
    pair = from_pkcs12(store, password)
    ders = [one.certificate.public_bytes(Encoding.DER) for one in (LEAF, MIDDLE, ROOT)]
    assert certificate_blocks(pair.cert) == ders
    assert tls(pair.cert, pair.key)["tls.key"] == LEAF.key
    assert told(pair.cert) == []
    with pytest.raises(InputError, match="--pkcs12: not PKCS#12, damaged, or another password") as caught:
        from_pkcs12(store, b"wrong", "web.p12")
    assert caught.value.file == "web.p12"
    assert "masked" in repr(pair)


def test_an_empty_password_is_none() -> None:
    store = serialize_key_and_certificates(b"web", LEAF.private, LEAF.certificate, None, NoEncryption())
    assert from_pkcs12(store, b"") == from_pkcs12(store, None)


@pytest.mark.parametrize(
    ("private", "others"), [(None, [ROOT.certificate]), (LEAF.private, None), (LEAF.private, [ROOT.certificate])]
)
def test_pkcs12_without_a_key_or_without_its_certificate_is_refused(
    private: Any, others: list[x509.Certificate] | None
) -> None:
    store = serialize_key_and_certificates(b"web", private, None, others, NoEncryption())
    with pytest.raises(InputError, match="--pkcs12: it holds no private key with its certificate") as caught:
        from_pkcs12(store, None, "web.p12")
    assert caught.value.file == "web.p12"


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not on this machine")
def test_pkcs12_with_a_key_of_an_unknown_curve_is_refused(tmp_path: Path) -> None:
    by_openssl(tmp_path, "odd", "ecparam", "-name", "secp160k1", "-genkey", "-noout")
    export = ("pkcs12", "-export", "-in", "odd.crt", "-inkey", "odd.key", "-out", "odd.p12", "-passout", "pass:")
    openssl(tmp_path, *export)
    with pytest.raises(InputError, match="--pkcs12: not PKCS#12, damaged, or another password") as caught:
        from_pkcs12((tmp_path / "odd.p12").read_bytes(), None, "odd.p12")
    assert caught.value.file == "odd.p12"


def test_no_repr_of_a_block_shows_it() -> None:
    (block,) = blocks(LEAF.key)
    assert re.fullmatch(r"Block\('PRIVATE KEY', masked\)", repr(block))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (b"-----BEGIN A-----\n-----BEGIN B-----\nYQ==\n-----END B-----\n", ["B"]),
        (b"-----BEGIN A-----\nYQ==\n-----END B-----\n-----BEGIN C-----\nYQ==\n-----END C-----\n", ["C"]),
        (b"-----BEGIN A-----\nProc-Type: 4\n\nYQ==\n-----END A-----\n-----BEGIN B-----\n-----END B-----\n", ["A", "B"]),
        (b"-----BEGIN A: x-----\n-----BEGIN A-----\nYQ==\n-----END A-----\n", ["A"]),
        (b"-----BEGIN A-----\nYQ==\n", []),
    ],
)
def test_a_block_without_an_end_hides_none_after_it(text: bytes, labels: list[str]) -> None:
    assert [block.label for block in blocks(text)] == labels


@pytest.mark.parametrize("line", ["-----BEGIN A-----\n", "-----BEGIN A:-----\n", "-----BEGIN A-----\nYQ==\n"])
@pytest.mark.parametrize("end", ["", "x\n-----END B-----\n", "-----END A-----\n"])
def test_blocks_that_have_no_end_cost_what_their_length_is(line: str, end: str) -> None:
    """A megabyte took minutes."""
    began = time.process_time()
    list(blocks((line * (1_000_000 // len(line)) + end).encode()))
    assert time.process_time() - began < 5


def test_a_key_of_more_than_any_number_of_bits_is_refused_unread() -> None:
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{'MIIB' * 30_000}\n-----END RSA PRIVATE KEY-----\n"
    with pytest.raises(InputError, match="longer than 65536 bytes"):
        tls(LEAF.cert, key.encode())
