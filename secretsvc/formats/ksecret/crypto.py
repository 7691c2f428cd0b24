"""The cryptography of format *ksecret v1*: key separation, payloads, tokens and the seal (design FORMAT).

Pure functions over bytes; nothing here knows of YAML, files or networks. The only state is a `Dek`.
AES-256-GCM: NIST SP 800-38D. HKDF: RFC 5869. HMAC: RFC 2104.
"""

from __future__ import annotations

from os import urandom

from secretsvc.errors import AlteredError
from secretsvc.formats.ksecret.envelope import TOKEN_PREFIX
from secretsvc.formats.primitives import (
    DEK_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    aes_gcm,
    equal,
    hkdf_sha256,
    hmac_sha256,
    invalid_tag,
)
from secretsvc.manifest.model import decode_strict, encode_base64
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.formats.ksecret.envelope import SealedKeys

BLOCK = 64
"""Payloads are padded to a multiple of this many bytes, so that a token does not tell a value's length."""

FORM_TEXT = 0
"""Content is the source text as it stands."""
FORM_BASE64 = 1
"""Content is the bytes that the text is the base64 of."""
FORM_BODY = 2
"""Content is a block scalar's body with its indentation taken off."""


class Payload(Record):
    """The content of a token: content (bytes), its form, and the shell (ASCII) that it was sealed in."""

    form: int
    shell: str
    content: bytes

    def __repr__(self) -> str:
        return "Payload(masked)"

    def encoded(self) -> bytes:
        """`u8 form ‖ u8 n ‖ n bytes shell ‖ content ‖ 0x80 ‖ zeros` up to a multiple of 64 bytes."""
        shell = self.shell.encode("ascii")
        bare = bytes((self.form, len(shell))) + shell + self.content + b"\x80"
        return bare + bytes(-len(bare) % BLOCK)

    @staticmethod
    def decoded(data: bytes) -> Payload:
        """Return the inverse. Raises ValueError for anything that `encoded` does not write."""
        bare = data.rstrip(b"\0")
        if len(data) % BLOCK or len(data) - len(bare) >= BLOCK or bare[-1:] != b"\x80" or len(bare) < 3:
            raise ValueError("padding")
        form, length = bare[0], bare[1]
        if form not in (FORM_TEXT, FORM_BASE64, FORM_BODY) or len(bare) < 3 + length:
            raise ValueError("form")
        return Payload(form, bare[2 : 2 + length].decode("ascii"), bare[2 + length : -1])


class Dek:
    """A data key and the two keys made of it. Never printed, never kept beyond the Secret that it belongs to."""

    __slots__ = ("_aead", "_seal_key", "secret")

    def __init__(self, secret: bytes) -> None:
        """`secret`: the 32 bytes that KEKs wrap. Raises AlteredError for any other length."""
        if len(secret) != DEK_BYTES:
            raise AlteredError("the wrapped data key is not 32 bytes long")
        self.secret = secret
        value_key, self._seal_key = hkdf_sha256(secret, b"ksecret/v1 enc", b"ksecret/v1 seal")
        self._aead = aes_gcm(value_key)

    def __repr__(self) -> str:
        return "Dek(masked)"

    def seal_value(self, payload: Payload, sealed_for: str, field: str, key: str, nonce: bytes = b"") -> str:
        """Return the token for a payload at that place. `nonce`: 12 bytes, for test vectors only; random otherwise."""
        nonce = nonce or urandom(NONCE_BYTES)
        box = self._aead.encrypt(nonce, payload.encoded(), _value_aad(sealed_for, field, key))
        return TOKEN_PREFIX + encode_base64(nonce + box)

    def open_value(self, token: str, sealed_for: str, field: str, key: str) -> Payload:
        """Return the payload of a token. Raises AlteredError unless it was made with this DEK for that very place."""
        try:
            raw = decode_strict(token.removeprefix(TOKEN_PREFIX))
            if not token.startswith(TOKEN_PREFIX) or len(raw) < NONCE_BYTES + TAG_BYTES:
                raise ValueError("not a token")
            clear = self._aead.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _value_aad(sealed_for, field, key))
            return Payload.decoded(clear)
        except (ValueError, invalid_tag()):
            raise AlteredError(
                f'{field}["{key}"] was altered, or copied from another place',
                hint="restore the file from Git; to move a Secret, open it and seal it anew",
                entry=f"{field}/{key}",
            ) from None

    def seal(self, sealed_for: str, type_: str, created: str, keys: SealedKeys) -> str:
        """`base64(HMAC-SHA256(K_seal, M))` over identity, type, time and KeyRefs (any order; they are sorted)."""
        return encode_base64(self._mac(sealed_for, type_, created, keys))

    def check_seal(self, seal: str, sealed_for: str, type_: str, created: str, keys: SealedKeys) -> None:
        """Compares in constant time. Raises AlteredError."""
        if not self.seal_fits(seal, sealed_for, type_, created, keys):
            raise altered_seal()

    def seal_fits(self, seal: str, sealed_for: str, type_: str, created: str, keys: SealedKeys) -> bool:
        """Tell whether it was made with this DEK over just that; compared in constant time."""
        try:
            return equal(self._mac(sealed_for, type_, created, keys), decode_strict(seal))
        except ValueError:
            return False

    def _mac(self, sealed_for: str, type_: str, created: str, keys: SealedKeys) -> bytes:
        groups, threshold = keys
        title = b"ksecret/v1 seal groups" if threshold > 1 else b"ksecret/v1 seal"
        about = map(_length_prefixed, (title, sealed_for.encode(), type_.encode(), created.encode()))
        division = (_number(threshold), _number(len(groups))) if threshold > 1 else ()
        listed: list[bytes] = []
        for group in groups:
            names = sorted(ref.encode() for ref in group)
            listed += (_number(len(names)), *map(_length_prefixed, names))
        return hmac_sha256(self._seal_key, *about, *division, *listed)


def altered_seal(line: int = 0) -> AlteredError:
    """Return the error for a seal that does not fit."""
    return AlteredError(
        "the seal does not fit: type, keys, created or sealedFor was altered",
        hint="restore the file from Git; from there, ksecret rename --type TYPE FILE gives another type",
        line=line,
    )


def _value_aad(sealed_for: str, field: str, key: str) -> bytes:
    return b"\0".join((b"ksecret/v1 value", sealed_for.encode(), field.encode(), key.encode()))


def _length_prefixed(data: bytes) -> bytes:
    return _number(len(data)) + data


def _number(number: int) -> bytes:
    return number.to_bytes(4, "big")
