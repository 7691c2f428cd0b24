"""The cryptography of kubesec's format: values and the MAC (design FORMAT).

Weaker than our own, and kept for those who share files with kubesec: the DEK itself is the key of everything, and the
MAC covers neither name nor namespace nor type. AES-256-GCM: NIST SP 800-38D.
"""

from __future__ import annotations

from os import urandom

from secretsvc.errors import AlteredError
from secretsvc.formats.primitives import DEK_BYTES, NONCE_BYTES, TAG_BYTES, aes_gcm, invalid_tag
from secretsvc.manifest.model import FIELDS, decode_strict, encode_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Texts = Mapping[tuple[str, str], str]
    """(field, key) → the value's text as it stands in the manifest."""

BLOCK = 48
"""Texts are padded with NUL bytes to a multiple of this many, so that a token does not tell a value's length."""


class Dek:
    """A data key as kubesec uses it. Never printed, never kept beyond the file that it belongs to."""

    __slots__ = ("_aead", "secret")

    def __init__(self, secret: bytes) -> None:
        """`secret`: the 32 bytes that KEKs wrap. Raises AlteredError for any other length."""
        if len(secret) != DEK_BYTES:
            raise AlteredError("the wrapped data key is not 32 bytes long")
        self.secret = secret
        self._aead = aes_gcm(secret)

    def __repr__(self) -> str:
        return "Dek(masked)"

    def seal_value(self, text: str, key: str) -> str:
        """Return the token for a value of the entry `key`.

        `b64(ciphertext).b64(iv).b64(tag)`, without the first if empty.
        """
        clear = text.encode()
        return self._sealed(clear + bytes(-len(clear) % BLOCK), key.encode())

    def open_value(self, token: str, key: str) -> str:
        """Return the text of a token, which ends at the first NUL.

        Raises AlteredError unless it was made so for that key.
        """
        try:
            return self._opened(token, key.encode()).partition(b"\0")[0].decode()
        except (ValueError, invalid_tag()):
            raise AlteredError(
                f"the value of {key} was altered, or copied from another key", hint="restore the file from Git"
            ) from None

    def mac(self, texts: Texts, ids: Iterable[str]) -> str:
        """Return the MAC over the values and the keys' ids (in their order), with a new iv: `b64(iv).b64(tag)`."""
        return self._sealed(b"", _authenticated(texts, ids))

    def mac_fits(self, mac: str, texts: Texts, ids: Iterable[str]) -> bool:
        """Tell whether that MAC was made over exactly these."""
        try:
            return self._opened(mac, _authenticated(texts, ids)) == b""
        except (ValueError, invalid_tag()):
            return False

    def _sealed(self, clear: bytes, aad: bytes) -> str:
        iv = urandom(NONCE_BYTES)
        box = self._aead.encrypt(iv, clear, aad)
        parts = (box[:-TAG_BYTES], iv, box[-TAG_BYTES:])
        return ".".join(encode_base64(part) for part in parts if part)

    def _opened(self, text: str, aad: bytes) -> bytes:
        parts = [decode_strict(part) for part in text.split(".")]
        ciphertext, iv, tag = parts if len(parts) == 3 else (b"", *parts)  # ValueError for any other number
        if not all(parts) or len(iv) != NONCE_BYTES or len(tag) != TAG_BYTES:
            raise ValueError("not a token")
        return self._aead.decrypt(iv, ciphertext + tag, aad)


def _authenticated(texts: Texts, ids: Iterable[str]) -> bytes:
    """Return what the MAC covers: per field, in byte order of the keys, key ‖ text; then the ids.

    No separators anywhere.
    """
    parts = [
        part.encode()
        for field in FIELDS
        for key in sorted((key for own, key in texts if own == field), key=str.encode)
        for part in (key, texts[field, key])
    ]
    return b"".join((*parts, *map(str.encode, ids)))
