"""The private keys that a controller of Sealed Secrets made, and what one of them opens.

Source: pkg/crypto/crypto.go of Sealed Secrets, 0.30 and 0.40.
"""

from __future__ import annotations

from secretsvc.errors import InputError, KsecretError
from secretsvc.manifest.model import decode_base64
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_BLOCK = pattern(rb"-----BEGIN ((?:RSA )?PRIVATE KEY)-----[^-]{1,65536}+-----END \1-----")
_NONCE = bytes(12)
"""A session key is used once, so theirs is zero."""
_SELECTOR = "sealedsecrets.bitnami.com/sealed-secrets-key"
_HINT = f"it takes PEM, or what `kubectl get secret -n kube-system -l {_SELECTOR} -o yaml` prints"
MOST_KEYS = 1000
"""A controller makes one in 30 days."""


class SealedSecretKeys:
    """Keys that are tried in turn, the one that opened the last value first."""

    def __init__(self, keys: list[RSAPrivateKey]) -> None:
        self._keys = keys
        self._last = 0

    def __len__(self) -> int:
        return len(self._keys)

    def open(self, sealed: bytes, label: bytes) -> bytes | None:
        """A value by the first key that opens it; None where none does.

        Two bytes with the length of what RSA-OAEP (SHA-256, with that label) wrapped, this, and AES-GCM.
        """
        length = int.from_bytes(sealed[:2], "big")
        wrapped, text = sealed[2 : length + 2], sealed[length + 2 :]
        for number in range(len(self._keys)):
            at = (self._last + number) % len(self._keys)
            found = _opened(self._keys[at], wrapped, text, label)
            if found is not None:
                self._last = at
                return found
        return None


def _opened(key: RSAPrivateKey, wrapped: bytes, text: bytes, label: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        session = key.decrypt(wrapped, OAEP(MGF1(SHA256()), SHA256(), label))
        return AESGCM(session).decrypt(_NONCE, text, None)
    except (ValueError, InvalidTag):
        return None


def read_keys(files: Iterable[tuple[str, bytes]]) -> SealedSecretKeys:
    """Read backed-up keys, of pairs of file name and content: PEM, or the controller's Secrets, in a List or alone.

    Raises InputError, which shows nothing of a key.
    """
    found: list[RSAPrivateKey] = []
    for name, data in files:
        try:
            own = [_key(block) for block in _blocks(data)]
        except KsecretError as error:
            error.file = name
            raise
        if not own:
            raise InputError("no private key of a controller is in it", hint=_HINT, file=name)
        found += own
    if len(found) > MOST_KEYS:
        raise InputError(f"more than {MOST_KEYS} keys of Sealed Secrets")
    return SealedSecretKeys(found)


def _blocks(data: bytes) -> Iterator[bytes]:
    if data.lstrip().startswith(b"-----BEGIN "):
        yield from (match[0] for match in _BLOCK.finditer(data))
        return
    from secretsvc.manifest.kubernetes_objects import documents

    for one in _secrets(documents(data)):
        fields = one.get("data")
        text = fields.get("tls.key") if isinstance(fields, dict) else None
        try:
            yield from (match[0] for match in _BLOCK.finditer(decode_base64(text) if isinstance(text, str) else b""))
        except ValueError:
            raise InputError("its tls.key is not base64", hint=_HINT) from None


def _secrets(objects: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for one in objects:
        items = one.get("items") if isinstance(one, dict) else None
        yield from (item for item in (items if isinstance(items, list) else [one]) if isinstance(item, dict))


def _key(block: bytes) -> RSAPrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        # Whether its numbers are prime takes a quarter of a second for each; what it opens, AES-GCM proves.
        key = load_pem_private_key(block, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise InputError("a private key in it is damaged, or not of RSA", hint=_HINT)
    return key
