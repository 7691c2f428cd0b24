"""Advice on what is allowed in a TLS Secret, and will hurt: expiry, a chain in the wrong order, no names, weak keys."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from secretsvc.errors import InputError
from secretsvc.generators.tls import certificate_blocks, load_certificate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

SOON = timedelta(days=30)
MIN_RSA_BITS = 2048


def advice(cert: bytes, now: datetime) -> Iterator[str]:
    """One line for each thing that a person should know of a certificate file that kubectl takes.

    `now` has a time zone. Says nothing of what is in the certificates but dates and sizes.
    """
    ders = certificate_blocks(cert)
    leaf = load_certificate(ders[0])
    yield from _dates(leaf, now)
    yield from _names(leaf)
    yield from _weakness(leaf)
    yield from _chain(leaf, ders[1:])


def _dates(leaf: x509.Certificate, now: datetime) -> Iterator[str]:
    end = leaf.not_valid_after_utc
    if now > end:
        yield f"--cert: the certificate expired on {end:%Y-%m-%d}"
    elif end - now < SOON:
        yield f"--cert: the certificate expires on {end:%Y-%m-%d}, in {(end - now).days} days"
    if now < leaf.not_valid_before_utc:
        yield f"--cert: the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}"


def _names(leaf: x509.Certificate) -> Iterator[str]:
    try:
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        yield "--cert: the certificate has no subject alternative names: browsers and most clients refuse it"
    except ValueError:
        yield "--cert: the certificate's extensions can't be read"


def _weakness(leaf: x509.Certificate) -> Iterator[str]:
    public = leaf.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        yield f"--key: weak: RSA with {public.key_size} bits, under {MIN_RSA_BITS}"
    if isinstance(public, ec.EllipticCurvePublicKey) and public.key_size < 256:
        yield f"--key: weak: an elliptic curve of {public.key_size} bits, under 256"
    try:
        digest = leaf.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return
    if digest is not None and digest.name in ("md5", "sha1"):
        yield f"--cert: weak: the certificate is signed with {digest.name.upper()}"


def _chain(leaf: x509.Certificate, ders: list[bytes]) -> Iterator[str]:
    """Names only: signatures are the clients' business, and a root may be left out."""
    last = leaf
    for number, der in enumerate(ders, 2):
        try:
            certificate = load_certificate(der)
            in_order = last.issuer == certificate.subject
        except (InputError, ValueError):
            yield f"--cert: certificate {number} of the file can't be read"
            return
        if not in_order:
            yield f"--cert: wrong order of the chain: certificate {number} did not sign the one before it"
            return
        last = certificate
