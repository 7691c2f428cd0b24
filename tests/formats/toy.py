"""A whole format: values sealed one by one under their places, keys in a comment line at the file's end."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secretsvc.errors import AlteredError
from secretsvc.formats import Row
from secretsvc.formats.base import Format, Made, Opened, Sealed, token_of
from secretsvc.manifest.scalars import replaced
from secretsvc.manifest.splice import Edit
from tests.support import wrapped_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.formats.base import Plan, Trust
    from secretsvc.keyref import WrappedKey
    from secretsvc.manifest.model import Entry, Manifest, Secret

MARKER = "\n# toy:"
ROW = Row(__name__, MARKER, "^# toy:")


class Toy(Format):
    name, label, whole_file = "toy", "the toy format", True

    def is_sealed(self, manifest: Manifest, secret: Secret) -> bool:
        return MARKER in manifest.text

    def is_token(self, value: str) -> bool:
        return value.startswith("toy.")

    def read(self, manifest: Manifest, secret: Secret) -> Sealed:
        at = manifest.text.index(MARKER) + len(MARKER)
        own = manifest.text[at:].partition("\n")[0]
        try:
            return Sealed(manifest.text.count("\n", 0, at) + 1, "toy", wrapped_keys(json.loads(own)), "", "", "", own)
        except ValueError:
            raise AlteredError("a toy envelope that is none", line=secret.line) from None

    def open(self, secret: Secret, sealed: Sealed, dek: bytes, *, trust: Trust | None, retyped: bool) -> Opened:
        tokens = {(entry.field, entry.key): token_of(entry) for entry in secret.entries if self.is_token(entry.value)}
        return Opened(self, sealed, dek, {at: _opened(dek, token, at) for at, token in tokens.items()}, tokens)

    def seal(self, manifest: Manifest, secret: Secret, plan: Plan) -> Made:
        own = self.with_keys("", plan.keys)
        edits = [replaced(manifest.text, entry, _token(entry, plan)) for entry in secret.entries]
        return Made([*edits, *self.put(manifest.text, secret, own)], own)

    def with_keys(self, own: str, keys: Sequence[WrappedKey]) -> str:
        return json.dumps({str(key.ref): key.source or b64encode(key.wrapped).decode() for key in keys})

    def put(self, text: str, secret: Secret, own: str) -> list[Edit]:
        return [*self.removed(text, secret), Edit(len(text), len(text), f"# toy:{own}\n")]

    def removed(self, text: str, secret: Secret) -> list[Edit]:
        at = text.find(MARKER) + 1
        return [Edit(at, text.index("\n", at) + 1, "")] if at else []

    def without_lines(self, text: str) -> str:
        return "\n".join(line for line in text.split("\n") if not line.startswith("# toy:"))


def _token(entry: Entry, plan: Plan) -> str:
    at = (entry.field, entry.key)
    text = plan.before.values.get(at, entry.value) if plan.before else entry.value
    if plan.known and plan.known.values.get(at) == text:
        return plan.known.tokens[at]
    nonce = os.urandom(12)
    return "toy." + b64encode(nonce + AESGCM(plan.dek).encrypt(nonce, text.encode(), repr(at).encode())).decode()


def _opened(dek: bytes, token: str, at: Any) -> str:
    try:
        raw = b64decode(token.removeprefix("toy."))
        return AESGCM(dek).decrypt(raw[:12], raw[12:], repr(at).encode()).decode()
    except (ValueError, InvalidTag):
        raise AlteredError("a toy token that is none") from None


FORMAT = Toy()
