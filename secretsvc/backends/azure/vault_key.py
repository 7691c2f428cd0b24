"""What a vault says of a key, and how DEKs are wrapped under one: RSA-OAEP-256 and AES-KW of JSON Web Algorithms.

RFC 7518, sections 4.3 (RSA-OAEP-256) and 4.4 (A256KW, which is RFC 3394); RFC 7517 for what keys look like; Azure Key
Vault REST API, "KeyBundle", "KeyAttributes" and "KeyOperationResult".
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

from secretsvc.backends.azure import errors
from secretsvc.backends.base import DEK_BYTES
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretsvc.backends.azure import AzureKey

MAX_WRAPPED_BYTES = 1024
"""RSA keys of Key Vault have 2048 to 4096 bits, and what they wrap as many."""

_BLOCK = 8
"""Bytes: AES-KW takes multiples of it (RFC 3394, section 2)."""

_AES_WRAPPED = (DEK_BYTES + _BLOCK, DEK_BYTES + 2 * _BLOCK)
"""Lengths of a DEK, and of a share of one, that AES-KW has wrapped. No RSA key is so short."""

_LEAST_RSA_BITS = 2048

_BASE64URL = pattern(r"[A-Za-z0-9_-]+")
_VERSION = pattern(r"[0-9a-f]{32}")


def algorithm_of(wrapped: bytes) -> str:
    """Return how that was wrapped, as JSON Web Algorithms call it."""
    return "A256KW" if len(wrapped) in _AES_WRAPPED else "RSA-OAEP-256"


def padded(dek: bytes) -> bytes:
    """Return a DEK as it is; what is longer or shorter, as a share of one, with the bytes of PKCS #7 behind it.

    (RFC 5652, section 6.3) AES-KW takes whole blocks of 8 bytes, and a share has 33.
    """
    if len(dek) == DEK_BYTES:
        return dek
    lacking = _BLOCK - len(dek) % _BLOCK
    return dek + bytes([lacking]) * lacking


def unpadded(padded_dek: bytes) -> bytes:
    """Return what `padded` was given; as it is what that never made."""
    lacking = padded_dek[-1] if padded_dek else 0
    if len(padded_dek) == DEK_BYTES or not 0 < lacking <= _BLOCK or padded_dek[-lacking:] != bytes([lacking]) * lacking:
        return padded_dek
    return padded_dek[:-lacking]


def encoded(data: bytes) -> str:
    """Return bytes as the API spells them (RFC 7515, section 2: base64url without padding)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: object, host: str) -> bytes:
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise errors.foreign(host)
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise errors.foreign(host) from None


class VaultKey:
    """A version of a key, as its vault shows it. Never its private half, which the vault does not give away."""

    def __init__(self, answer: dict[str, Any], asked: AzureKey) -> None:
        """Raises BackendError for an answer that is about another key, or none."""
        material, attributes = answer.get("key"), answer.get("attributes")
        if not isinstance(material, dict) or not isinstance(attributes, dict):
            raise errors.foreign(asked.host)
        self._host = asked.host
        self._material = material
        self._attributes = attributes
        self.version = _version(material.get("kid"), asked)
        self._public: Any = None

    @staticmethod
    def result(answer: dict[str, Any], asked: AzureKey) -> bytes:
        """Return the bytes of the answer to an operation. Raises BackendError for one of another key."""
        _version(answer.get("kid"), asked)
        return _decoded(answer.get("value"), asked.host)

    @property
    def is_rsa(self) -> bool:
        """Tell whether it is an RSA key, in an HSM or not."""
        return self._material.get("kty") in ("RSA", "RSA-HSM")

    def check_wraps(self) -> None:
        """Refuse to seal to a key that is not for that, or that nobody could open with now.

        A vault itself would wrap under one that is disabled, and refuse to open it. Raises KeyRefError, BackendError.
        """
        operations = self._material.get("key_ops")
        if self._material.get("kty") not in ("RSA", "RSA-HSM", "oct-HSM"):
            raise errors.not_for_wrapping("it is neither an RSA key nor an AES key of a Managed HSM")
        if isinstance(operations, list) and not {"wrapKey", "unwrapKey"} <= set(map(str, operations)):
            raise errors.not_for_wrapping("its permitted operations leave out wrapKey or unwrapKey")
        if self._attributes.get("enabled") is False:
            raise errors.disabled()
        now = time.time()
        if self._time("exp", now + 1) <= now:
            raise errors.expired()
        if self._time("nbf", now) > now:
            raise errors.not_yet_valid()

    def wrap(self, dek: bytes) -> bytes:
        """Return a DEK wrapped by the public half of an RSA key, which needs no network."""
        from cryptography.hazmat.primitives.asymmetric import padding
        from cryptography.hazmat.primitives.hashes import SHA256

        if self._public is None:
            self._public = self._made()
        wrapped: bytes = self._public.encrypt(dek, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
        return wrapped

    def _made(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

        exponent, modulus = (int.from_bytes(_decoded(self._material.get(part), self._host)) for part in ("e", "n"))
        try:
            public = RSAPublicNumbers(exponent, modulus).public_key()
        except ValueError:
            raise errors.foreign(self._host) from None
        if public.key_size < _LEAST_RSA_BITS:
            raise errors.not_for_wrapping(f"it has fewer than {_LEAST_RSA_BITS} bits")
        return public

    def _time(self, name: str, default: float) -> float:
        """Return a time in seconds since 1970, as IntDate has it (RFC 7519, section 2)."""
        value = self._attributes.get(name)
        return float(value) if isinstance(value, int | float) else default


def _version(kid: object, asked: AzureKey) -> str:
    """Return the version that an answer names. Raises BackendError unless it is the key's that was asked for."""
    text = str(kid).lower()
    head, _, version = text.rpartition("/")
    host = head.removeprefix("https://").partition("/")[0].removesuffix(":443")
    is_the_key = head.endswith(f"/keys/{asked.name.lower()}") and host == asked.host
    if not is_the_key or not _VERSION.fullmatch(version) or asked.version not in ("", version):
        raise errors.foreign(asked.host)
    return version
