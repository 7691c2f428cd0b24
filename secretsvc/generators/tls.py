"""`tls`: a certificate and its key, checked as kubectl checks them (design KUBECTL, section 4).

The order of the checks is that of Go's tls.X509KeyPair. DER is read by cryptography, with an allow-list of kinds and
curves, as it knows more of them than Go does.
"""

from __future__ import annotations

from warnings import catch_warnings, simplefilter

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509.oid import PublicKeyAlgorithmOID as Kind

from secretsvc.errors import InputError
from secretsvc.generators.golang.pem import Block, blocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

TYPE = "kubernetes.io/tls"
CERT_FLAG, KEY_FLAG = "--cert", "--key"

MOST_KEY_BYTES = 64 * 1024
"""Limit for a key. One of 16,384 bits, the most that OpenSSL takes, has 9 KB; a megabyte's numbers take minutes."""

_CURVES = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_EXPLICIT_CURVE = bytes.fromhex("06072a8648ce3d0101")
"""DER of the OID prime-field (RFC 3279, section 2.3.5): a curve by its numbers in place of its name."""
_RSA_PSS = bytes.fromhex("06092a864886f70d01010a")
"""DER of the OID id-RSASSA-PSS (RFC 4055), which stands at a PKCS#8 key's start."""


def tls(cert: bytes, key: bytes, cert_file: str = "", key_file: str = "") -> dict[str, bytes]:
    """`tls.crt` and `tls.key`, exactly as read. Raises InputError, with the flag and the file's name if given."""
    first = _first_certificate(cert, cert_file)
    key_block = _key_block(key, key_file)
    certificate = load_certificate(first, cert_file)
    private = _private_key(key_block.der, key_file)
    _check_pair(certificate, private, key_file)
    return {"tls.crt": cert, "tls.key": key}


def certificate_blocks(text: bytes) -> list[bytes]:
    """The DER of each block labelled CERTIFICATE."""
    return [block.der for block in blocks(text) if block.label == "CERTIFICATE"]


def _first_certificate(text: bytes, file: str) -> bytes:
    skipped: list[str] = []
    for block in blocks(text):
        if block.label == "CERTIFICATE":
            return block.der
        skipped.append(block.label)
    if not skipped:
        raise _no_pem(text, CERT_FLAG, file)
    if len(skipped) == 1 and skipped[0].endswith("PRIVATE KEY"):
        hint = "--cert and --key may have been switched"
        raise InputError(f"{CERT_FLAG}: a private key and no certificate", hint=hint, file=file)
    raise InputError(f'{CERT_FLAG}: no PEM block "CERTIFICATE", only others ({len(skipped)})', file=file)


def _key_block(text: bytes, file: str) -> Block:
    skipped: list[str] = []
    for block in blocks(text):
        if block.label == "PRIVATE KEY" or block.label.endswith(" PRIVATE KEY"):
            return block
        skipped.append(block.label)
    if not skipped:
        raise _no_pem(text, KEY_FLAG, file)
    if skipped == ["CERTIFICATE"]:
        hint = "--cert and --key may have been switched"
        raise InputError(f"{KEY_FLAG}: a certificate rather than a private key", hint=hint, file=file)
    raise InputError(f'{KEY_FLAG}: no PEM block that ends in "PRIVATE KEY", only others ({len(skipped)})', file=file)


def _no_pem(text: bytes, flag: str, file: str) -> InputError:
    hint = "it must be PEM: text with -----BEGIN at the start of a line"
    if text[:1] == b"\x30":  # DER, or PKCS#12
        hint = "it looks like DER or PKCS#12: convert it (openssl x509 -inform der), or use --pkcs12 FILE"
    return InputError(f"{flag}: no PEM data", hint=hint, file=file)


def load_certificate(der: bytes, file: str = "") -> x509.Certificate:
    """A certificate with a key that TLS can use. Raises InputError."""
    try:
        with catch_warnings():  # the library's, of serial numbers that Go takes or that are refused here
            simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            negative = certificate.serial_number < 0
        kind = certificate.public_key_algorithm_oid
        if kind in (Kind.RSAES_PKCS1_v1_5, Kind.EC_PUBLIC_KEY):
            public = certificate.public_key()
            curve_ok = not isinstance(public, ec.EllipticCurvePublicKey) or isinstance(public.curve, _CURVES)
        else:
            curve_ok = True
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{CERT_FLAG}: malformed certificate, or with an unsupported key", file=file) from error
    if negative:
        raise InputError(f"{CERT_FLAG}: malformed certificate: negative serial number", file=file)
    if not curve_ok or _EXPLICIT_CURVE in certificate.tbs_certificate_bytes:
        raise InputError(f"{CERT_FLAG}: unsupported elliptic curve", hint=_USE_CURVES, file=file)
    return certificate


_USE_CURVES = "use P-256, P-384 or P-521 by its name"


def _private_key(der: bytes, file: str) -> PrivateKey:
    """PKCS#1, PKCS#8 or SEC1, whatever the block's label says."""
    if len(der) > MOST_KEY_BYTES:
        raise _unparsed(f"it is longer than {MOST_KEY_BYTES} bytes", file)
    try:
        # The library would also insist on the CRT numbers, which Go works out anew; _check_numbers does the rest.
        key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        hint = "decrypt it first: Kubernetes has no place for its password"
        raise _unparsed("it is encrypted", file, hint) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unparsed("not PKCS#1, PKCS#8 or SEC1, or damaged, or encrypted", file) from error
    if isinstance(key, x25519.X25519PrivateKey):
        raise InputError(f"{KEY_FLAG}: unknown private key type", hint="X25519 keys can't sign", file=file)
    if isinstance(key, rsa.RSAPrivateKey) and _RSA_PSS not in der[:64]:
        _check_numbers(key, file)
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if isinstance(key.curve, _CURVES) and _EXPLICIT_CURVE not in der:
            return key
        raise _unparsed("unsupported elliptic curve", file, _USE_CURVES)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raise _unparsed("not an RSA, ECDSA or Ed25519 key", file)


def _unparsed(why: str, file: str, hint: str = "") -> InputError:
    return InputError(f"{KEY_FLAG}: failed to parse the private key: {why}", hint=hint, file=file)


def _check_numbers(key: rsa.RSAPrivateKey, file: str) -> None:
    """Go's rsa.PrivateKey.Validate: the primes make the modulus, and the exponents undo each other."""
    numbers = key.private_numbers()
    public = numbers.public_numbers
    undone = all((numbers.d * public.e - 1) % (prime - 1) == 0 for prime in (numbers.p, numbers.q) if prime > 1)
    if numbers.p <= 1 or numbers.q <= 1 or numbers.p * numbers.q != public.n or not undone:
        raise _unparsed("its numbers do not fit together", file)


def _check_pair(certificate: x509.Certificate, private: PrivateKey, file: str) -> None:
    kinds = {
        Kind.RSAES_PKCS1_v1_5: rsa.RSAPrivateKey,
        Kind.EC_PUBLIC_KEY: ec.EllipticCurvePrivateKey,
        Kind.ED25519: ed25519.Ed25519PrivateKey,
    }
    kind = kinds.get(certificate.public_key_algorithm_oid)
    if kind is None:
        hint = "Kubernetes takes RSA, ECDSA and Ed25519"
        raise InputError(f"{CERT_FLAG}: unknown public key algorithm in the certificate", hint=hint, file=file)
    hint = "the certificate of the key comes first in --cert, then those that signed it"
    if not isinstance(private, kind):
        raise InputError(f"{KEY_FLAG}: the private key's type does not match the certificate's", hint=hint, file=file)
    if private.public_key() != certificate.public_key():
        raise InputError(f"{KEY_FLAG}: the private key does not match the certificate", hint=hint, file=file)
