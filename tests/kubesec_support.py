"""What the tests of kubesec's format share: a keyring of made-up keys of all its kinds, and the operations with it."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secretsvc.errors import AlteredError, KeyNotHeldError
from secretsvc.keyref import KeyRef, Keyset, KeysetChange, keyset
from secretsvc.manifest.reader import read
from secretsvc.operations.open import open_manifest, open_parents
from secretsvc.operations.request import ANY_TIME, Request
from secretsvc.operations.seal import seal_manifest
from tests import kubesec_reader
from tests.support import CREATED, DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from secretsvc.formats.base import Unproven
    from secretsvc.keyref import WrappedKey

VECTORS = DATA / "kubesec"
PGP = KeyRef("pgp", "A" * 40)
GCP = KeyRef("gcp", "projects/p/locations/l/keyRings/r/cryptoKeys/k")
AWS = KeyRef("aws", "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000001")
MORE = (KeyRef("pgp", "9" * 40), KeyRef("aws", "arn:aws:kms:eu-west-1:111122223333:alias/a"))
AGE = KeyRef("age", "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z")


class Keys:
    """A keyring that holds the KEKs of some KeyRefs, or of all; each KEK follows from its KeyRef."""

    def __init__(self, held: Iterable[KeyRef] | None = None) -> None:
        self._held = None if held is None else set(held)

    def signed(self) -> Keys:
        return self

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        nonce = os.urandom(12)
        return nonce + _kek(ref).encrypt(nonce, dek, repr(sorted(context.items())).encode())

    def unwrap(self, keys: Iterable[WrappedKey]) -> bytes:
        for key in keys:
            if self._held is None or key.ref in self._held:
                try:
                    return self.unwrapped(key.ref, key.wrapped, key.context)
                except (InvalidTag, ValueError):
                    raise AlteredError(f"{key.ref}: a wrapped data key that is none") from None
        raise KeyNotHeldError("no such key here")

    def rewrap(self, keys: Iterable[WrappedKey], dek: Callable[[], bytes]) -> tuple[WrappedKey, ...]:
        return tuple(key._replace(wrapped=self.wrap(key.ref, dek(), key.context), source="") for key in keys)

    @staticmethod
    def unwrapped(ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        if wrapped.startswith(b"-----BEGIN PGP MESSAGE-----\n\n"):
            wrapped = b64decode(b"".join(wrapped.splitlines()[2:-2]))
        return _kek(ref).decrypt(wrapped[:12], wrapped[12:], repr(sorted(context.items())).encode())


def _kek(ref: KeyRef) -> AESGCM:
    return AESGCM(hashlib.sha256(f"test KEK {ref}".encode()).digest())


ALL = Keys()


class Asked:
    """Somebody who is asked to vouch for a file, and what they were told."""

    def __init__(self, answer: bool = True) -> None:
        self.told: list[Unproven] = []
        self._answer = answer

    def __call__(self, unproven: Unproven) -> bool:
        self.told.append(unproven)
        return self._answer


class Want(NamedTuple):
    """What a test asks for, in few words."""

    keys: Keyset = (PGP,)
    exact: Keyset = ()
    add: Keyset = ()
    remove: Keyset = ()
    format: str = "kubesec"
    rotate: bool = False
    trust: Asked | None = None
    scope: str = ""
    created: str = CREATED

    @property
    def request(self) -> Request:
        change = KeysetChange(keyset(self.exact), keyset(self.add), keyset(self.remove))
        before = ANY_TIME if self.rotate else ""
        return Request(
            *(change, lambda *_: keyset(self.keys), self.scope, self.created, self.format, before),
            trust=self.trust,
            allow_repeated=True,  # made-up manifests repeat what they hold
        )


WANT = Want()


def seal(data: bytes | str, want: Want = WANT, *, parent: bytes = b"", keyring: Any = ALL) -> bytes:
    """In kubesec's format, unless `want` says otherwise."""
    parents = open_parents(parent, keyring) if parent else None
    return seal_manifest(_bytes(data), want.request, keyring, parents).data


def open_(data: bytes | str, keyring: Any = ALL) -> bytes:
    return open_manifest(_bytes(data), keyring).data


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def independent(sealed: bytes | str) -> dict[tuple[str, str], str]:
    """Every entry's clear text, by the reader that shares no code with us; nothing but what kubesec itself writes."""
    data = _bytes(sealed)
    assert kubesec_reader.misplaced(data) == []
    return entries(kubesec_reader.read(data, unwrap))


def entries(secret: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """(field, key) → text, of a Secret as plain data."""
    return {(field, key): text for field in ("data", "stringData") for key, text in (secret.get(field) or {}).items()}


def unwrap(scheme: str, name: str, wrapped: bytes) -> bytes:
    """For the independent reader."""
    assert (scheme == "pgp") == wrapped.startswith(b"-----BEGIN PGP MESSAGE-----\n\n")
    return ALL.unwrapped(KeyRef(scheme, name), wrapped, {})


def texts(data: bytes | str) -> dict[tuple[str, str], str]:
    """(field, key) → text of the one Secret in a manifest, as our own reader sees it: tokens, or the clear."""
    (secret,) = read(_bytes(data)).secrets
    return {(entry.field, entry.key): entry.value for entry in secret.entries}


def lines(sealed: bytes | str) -> list[str]:
    """The envelope's lines."""
    return [line for line in _bytes(sealed).decode().split("\n") if line.startswith("# kubesec:")]
