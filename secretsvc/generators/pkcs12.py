"""A PKCS#12 file (`.p12`, `.pfx`) as the two PEM texts of a TLS Secret."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from secretsvc.errors import InputError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cryptography import x509

FLAG = "--pkcs12"
MOST_CERTIFICATES = 100
"""Limit for certificates beside the key's own: each is compared with all others."""


class TlsPair(Record):
    """PEM: the certificate with those that signed it behind it, and the key as unencrypted PKCS#8."""

    cert: bytes
    key: bytes

    def __repr__(self) -> str:
        return "TlsPair(masked)"


def from_pkcs12(data: bytes, password: bytes | None, file: str = "") -> TlsPair:
    """`password` None: none, or an empty one. Raises InputError, also for a wrong one: the format can't tell."""
    try:
        store = load_pkcs12(data, password)
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "its password goes into a file: --pkcs12-password-file FILE, or - for standard input"
        raise InputError(f"{FLAG}: not PKCS#12, damaged, or another password", hint=hint, file=file) from error
    if store.key is None or store.cert is None:
        raise InputError(f"{FLAG}: it holds no private key with its certificate", file=file)
    key = store.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    others = [extra.certificate for extra in store.additional_certs]
    if len(others) > MOST_CERTIFICATES:
        raise InputError(f"{FLAG}: it holds more than {MOST_CERTIFICATES} certificates", file=file)
    chain = _ordered(store.cert.certificate, others)
    return TlsPair(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain), key)


def _ordered(leaf: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """Each followed by the one that signed it, by name; the format keeps no order. What signed nothing goes last."""
    chain, left = [leaf], list(others)
    while True:
        signer = next((one for one in left if one.subject == chain[-1].issuer), None)
        if signer is None:
            return [*chain, *left]
        left.remove(signer)
        chain.append(signer)
