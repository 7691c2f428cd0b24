"""Tokens of SOPS: one leaf encrypted, under a file's data key. Source: aes/cipher.go of getsops/sops."""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secretsvc.document.base import Value
from secretsvc.document.yaml_types import float_text, plain
from secretsvc.errors import RESTORE_HINT, AlteredError
from secretsvc.tokens import SOPS_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.document.base import Path

_TOKEN = re.compile(
    rb"ENC\[AES256_GCM,data:([A-Za-z0-9+/=]+),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]"
)
_IV_BYTES = 32
"""As SOPS writes them; it reads any."""
_TAG_BYTES = 16
_INT = re.compile(rb"[-+]?[0-9]{1,19}")
_FLOAT = re.compile(rb"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_FLOAT = 2048
"""Characters; the longest that SOPS writes has 344."""
_TRUE, _FALSE = (b"1", b"t", b"T", b"TRUE", b"true", b"True"), (b"0", b"f", b"F", b"FALSE", b"false", b"False")
_SPECIAL = {b"NaN": b"NaN", b"+Inf": b"+Inf", b"Inf": b"+Inf", b"-Inf": b"-Inf"}


def is_token(text: bytes) -> bool:
    """Tell whether a text is a token, good or broken."""
    return text.startswith(SOPS_MARK)


def is_whole(text: bytes) -> bool:
    """Tell whether a text has a token's whole shape, whatever stands behind it."""
    return _TOKEN.match(text) is not None


def kind_of(token: bytes) -> str:
    """Return the kind that a token says its value is of; empty for a broken one."""
    found = _TOKEN.match(token)
    return found[4].decode() if found else ""


def aad_of(path: Path) -> bytes:
    """Return what is authenticated with a leaf: its keys, without places in lists, each with a `:` behind it.

    An empty path, of a comment at the root, is `:` alone.
    """
    keys = [key for key in path if isinstance(key, str)]
    return (":".join(keys) + ":").encode("utf-8", "surrogateescape")


class Cipher:
    """Seals and opens leaves under one data key (32 bytes)."""

    def __init__(self, dek: bytes) -> None:
        self._aes = AESGCM(dek)

    def seal(self, value: Value, aad: bytes) -> bytes:
        """Return a token, under an IV of its own. The value is neither null nor empty."""
        iv = urandom(_IV_BYTES)
        return self._token(value, aad, iv)

    def _token(self, value: Value, aad: bytes, iv: bytes) -> bytes:
        made = self._aes.encrypt(iv, value.text, aad)
        data, tag = made[:-_TAG_BYTES], made[-_TAG_BYTES:]
        encoded = (b64encode(data), b64encode(iv), b64encode(tag), value.kind.encode())
        return b"ENC[AES256_GCM,data:%b,iv:%b,tag:%b,type:%b]" % encoded

    def open(self, token: bytes, aad: bytes) -> Value:
        """Return the value of a token, in its canonical text. Raises AlteredError."""
        found = _TOKEN.match(token)
        if not found:
            raise _altered("a token that is none")
        try:
            data, iv, tag = (binascii.a2b_base64(part, strict_mode=True) for part in found.group(1, 2, 3))
            text = self._aes.decrypt(iv, data + tag, aad) if len(tag) == _TAG_BYTES else None
        except (binascii.Error, ValueError):  # also an IV that is too short or too long
            text = None
        except InvalidTag:
            raise _altered("a token that was altered, or moved from another place") from None
        if text is None:
            raise _altered("a token that is none")
        return _typed(text, found[4].decode())


def _typed(text: bytes, kind: str) -> Value:
    """Return what the text of a token is: its kind is not authenticated, and need not fit. Raises AlteredError."""
    canonical = {"int": _int, "float": _float, "bool": _bool, "time": _time}.get(kind)
    if canonical:
        found = canonical(text)
        if found is None:
            raise _altered(f"a token of a text that is no {kind}")
        return Value(kind, found)
    if kind not in ("str", "comment", "bytes"):
        raise _altered("a token of a kind that is not known")
    return Value(kind, text)


def _int(text: bytes) -> bytes | None:
    number = int(text) if _INT.fullmatch(text) else 2**63
    return str(number).encode() if -(2**63) <= number < 2**63 else None


def _float(text: bytes) -> bytes | None:
    special = _SPECIAL.get(text)
    if special or len(text) > _LONGEST_FLOAT or not _FLOAT.fullmatch(text):
        return special
    number = float(text)
    return None if number in (float("inf"), float("-inf")) else float_text(number)


def _bool(text: bytes) -> bytes | None:
    return b"True" if text in _TRUE else b"False" if text in _FALSE else None


def _time(text: bytes) -> bytes | None:
    try:
        value = plain(text.decode("ascii")) if text else None
    except UnicodeDecodeError:
        return None
    return value.text if value and value.kind == "time" and b"T" in text else None


def _altered(what: str) -> AlteredError:
    return AlteredError(what, hint=RESTORE_HINT)
