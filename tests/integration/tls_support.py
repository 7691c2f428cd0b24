"""Throw-away certificates and keys of every kind, sound and odd, as PEM."""

from __future__ import annotations

import shutil
import subprocess
from base64 import encodebytes
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OPENSSL = shutil.which("openssl")


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    private: Any

    @property
    def cert(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key(self) -> bytes:
        return bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def new_key(kind: str) -> Any:
    curves = {
        **{"p224": ec.SECP224R1(), "p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()},
        **{"secp256k1": ec.SECP256K1(), "brainpool": ec.BrainpoolP256R1()},
    }
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "dsa":
        return dsa.generate_private_key(2048)
    return {"ed25519": ed25519.Ed25519PrivateKey, "ed448": ed448.Ed448PrivateKey}[kind].generate()


def new_pair(
    kind: str = "p256",
    name: str = "web",
    signer: Pair | None = None,
    *,
    days: tuple[int, int] = (-10, 300),
    names: bool = True,
) -> Pair:
    """A certificate good from `days[0]` to `days[1]` of NOW, signed by itself or by `signer`."""
    private = new_key(kind)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("web.example")]), critical=False)
    signing = signer.private if signer else private
    digest = None if isinstance(signing, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    return Pair(builder.sign(signing, digest), private)


def pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + encodebytes(der) + f"-----END {label}-----\n".encode()


def openssl(folder: Path, *words: str) -> None:
    assert OPENSSL
    subprocess.run([OPENSSL, *words], cwd=folder, check=True, capture_output=True, timeout=120)


def by_openssl(folder: Path, name: str, *making: str, serial: str = "5") -> tuple[bytes, bytes]:
    """A key made by those words, and its certificate, which cryptography could not write."""
    openssl(folder, making[0], "-out", f"{name}.key", *making[1:])
    request = ("req", "-new", "-x509", "-key", f"{name}.key", "-subj", "/CN=web", "-days", "30", "-set_serial", serial)
    openssl(folder, *request, "-out", f"{name}.crt")
    return (folder / f"{name}.crt").read_bytes(), (folder / f"{name}.key").read_bytes()


def damaged(private: rsa.RSAPrivateKey, field: int) -> bytes:
    """A PKCS#1 key with one number of nine changed: 1 n, 2 e, 3 d, 4 p, 5 q, 6 dp, 7 dq, 8 qinv (RFC 8017, A.1.2)."""
    numbers = private.private_numbers()
    public = numbers.public_numbers
    values = [0, public.n, public.e, numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp]
    values[field] += 2
    body = b"".join(_tlv(2, value.to_bytes(value.bit_length() // 8 + 1)) for value in values)
    return pem("RSA PRIVATE KEY", _tlv(0x30, body))


def as_rsa_pss(private: rsa.RSAPrivateKey) -> bytes:
    """The same key in PKCS#8 under the OID id-RSASSA-PSS (RFC 4055)."""
    pkcs1 = private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    algorithm = _tlv(0x30, bytes.fromhex("06092a864886f70d01010a"))
    return pem("PRIVATE KEY", _tlv(0x30, _tlv(2, b"\0") + algorithm + _tlv(4, pkcs1)))


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = (
        bytes([size])
        if size < 128
        else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8)
    )
    return bytes([tag]) + length + content
