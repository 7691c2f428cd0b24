"""Tokens of SOPS: one leaf encrypted, under a file's data key. Source: aes/cipher.go of getsops/sops."""

from __future__ import annotations

from binascii import a2b_base64
from os import urandom

from secretsvc.document.base import Value
from secretsvc.document.yaml_types import IN_FLOATS, float_text, plain
from secretsvc.errors import RESTORE_HINT, AlteredError
from secretsvc.formats.primitives import TAG_BYTES, aes_gcm, invalid_tag
from secretsvc.manifest.model import encode_base64
from secretsvc.tokens import SOPS_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.document.base import Path

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_PARTS = ((b"data:", _BASE64), (b"iv:", _BASE64), (b"tag:", _BASE64), (b"type:", _LETTERS))
"""Parts of a token between its brackets, in this order, and the characters of each."""
_IV_BYTES = 32
"""As SOPS writes them; it reads any."""
_LONGEST_INT = 19
"""Digits."""
_LONGEST_FLOAT = 2048
"""Characters; the longest that SOPS writes has 344."""
_TRUE, _FALSE = (b"1", b"t", b"T", b"TRUE", b"true", b"True"), (b"0", b"f", b"F", b"FALSE", b"false", b"False")
_SPECIAL = {b"NaN": b"NaN", b"+Inf": b"+Inf", b"Inf": b"+Inf", b"-Inf": b"-Inf"}


def is_token(text: bytes) -> bool:
    """Tell whether a text is a token, good or broken."""
    return text.startswith(SOPS_MARK)


def is_whole(text: bytes) -> bool:
    """Tell whether a text has a token's whole shape, whatever stands behind it."""
    return _parts(text) is not None


def kind_of(token: bytes) -> str:
    """Return the kind that a token says its value is of; empty for a broken one."""
    parts = _parts(token)
    return parts[3].decode() if parts else ""


def _parts(token: bytes) -> list[bytes] | None:
    """Return data, IV, tag and kind as they stand in a token; None for a broken one."""
    if not token.startswith(SOPS_MARK):
        return None
    found = token[len(SOPS_MARK) : token.find(b"]")].split(b",")  # up to the bracket, which is no part's
    if len(found) != len(_PARTS) or b"]" not in token:
        return None
    parts = []
    for part, (name, characters) in zip(found, _PARTS, strict=True):
        text = part.removeprefix(name)
        if not text or text == part or text.translate(None, characters):
            return None
        parts.append(text)
    return parts


def aad_of(path: Path) -> bytes:
    """Return what is authenticated with a leaf: its keys, without places in lists, each with a `:` behind it.

    An empty path, of a comment at the root, is `:` alone.
    """
    keys = [key for key in path if isinstance(key, str)]
    return (":".join(keys) + ":").encode("utf-8", "surrogateescape")


class Cipher:
    """Seals and opens leaves under one data key (32 bytes)."""

    def __init__(self, dek: bytes) -> None:
        self._aes = aes_gcm(dek)

    def seal(self, value: Value, aad: bytes) -> bytes:
        """Return a token, under an IV of its own. The value is neither null nor empty."""
        iv = urandom(_IV_BYTES)
        return self._token(value, aad, iv)

    def _token(self, value: Value, aad: bytes, iv: bytes) -> bytes:
        made = self._aes.encrypt(iv, value.text, aad)
        data, tag = made[:-TAG_BYTES], made[-TAG_BYTES:]
        parts = (encode_base64(data), encode_base64(iv), encode_base64(tag), value.kind)
        return "ENC[AES256_GCM,data:{},iv:{},tag:{},type:{}]".format(*parts).encode()

    def open(self, token: bytes, aad: bytes) -> Value:
        """Return the value of a token, in its canonical text. Raises AlteredError."""
        parts = _parts(token)
        if not parts:
            raise _altered("a token that is none")
        try:
            data, iv, tag = (a2b_base64(part, strict_mode=True) for part in parts[:3])
            text = self._aes.decrypt(iv, data + tag, aad) if len(tag) == TAG_BYTES else None
        except ValueError:  # also an IV that is too short or too long
            text = None
        except invalid_tag():
            raise _altered("a token that was altered, or moved from another place") from None
        if text is None:
            raise _altered("a token that is none")
        return _typed(text, parts[3].decode())


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
    digits = text[1:] if text[:1] in (b"+", b"-") else text
    number = int(text) if digits.isdigit() and len(digits) <= _LONGEST_INT else 2**63
    return str(number).encode() if -(2**63) <= number < 2**63 else None


def _float(text: bytes) -> bytes | None:
    special = _SPECIAL.get(text)
    if special or len(text) > _LONGEST_FLOAT:
        return special
    try:
        number = float(b"" if text.strip(IN_FLOATS.encode()) else text)
    except ValueError:
        return None
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
