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
from secretsvc.formats.base import Format, Made, Opened, Place, Sealed
from secretsvc.manifest.scalars import replaced
from secretsvc.manifest.splice import Edit
from tests.support import wrapped_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.formats.base import Plan
    from secretsvc.keyref import WrappedKey
    from secretsvc.manifest.model import Manifest, Secret

ROW = Row(__name__, "\n# toy:", "^# toy:")


class Toy(Format):
    name, label, whole_file, comments = "toy", "the toy format", True, "# toy:"

    def is_token(self, value: str) -> bool:
        return value.startswith("toy.")

    def read(self, manifest: Manifest, secret: Secret) -> Sealed:
        own = manifest.text.partition(ROW.marker)[2].partition("\n")[0]
        try:
            return Sealed(secret.line, "toy", wrapped_keys(json.loads(own)), "", "", "", own)
        except ValueError:
            raise AlteredError("a toy envelope that is none", line=secret.line) from None

    def open(self, secret: Secret, sealed: Sealed, dek: bytes, **_: Any) -> Opened:
        tokens = self.tokens(secret)
        return Opened(self, sealed, dek, {at: _opened(dek, token, at) for at, token in tokens.items()}, tokens)

    def seal(self, manifest: Manifest, secret: Secret, plan: Plan) -> Made:
        texts = {(entry.field, entry.key): entry.value for entry in secret.entries}
        texts |= plan.before.texts if plan.before else {}
        tokens = [plan.kept(at, text) or _token(plan.dek, text, at) for at, text in texts.items()]
        edits = [replaced(manifest.text, *pair) for pair in zip(secret.entries, tokens, strict=True)]
        own = self.with_keys("", plan.keys)
        return Made([*edits, *self.put(manifest, secret, own)], own)

    def with_keys(self, own: str, keys: Sequence[WrappedKey]) -> str:
        return json.dumps({str(key.ref): key.source or b64encode(key.wrapped).decode() for key in keys})

    def put(self, manifest: Manifest, secret: Secret, own: str) -> list[Edit]:
        end = len(manifest.text)
        return [*self.removed(manifest.text, secret), Edit(end, end, f"# toy:{own}\n")]

    def removed(self, text: str, secret: Secret) -> list[Edit]:
        at = text.find(ROW.marker) + 1
        return [Edit(at, text.index("\n", at) + 1, "")] if at else []


def _token(dek: bytes, text: str, at: Place) -> str:
    nonce = os.urandom(12)
    return "toy." + b64encode(nonce + AESGCM(dek).encrypt(nonce, text.encode(), repr(at).encode())).decode()


def _opened(dek: bytes, token: str, at: Place) -> str:
    try:
        raw = b64decode(token.removeprefix("toy."))
        return AESGCM(dek).decrypt(raw[:12], raw[12:], repr(at).encode()).decode()
    except (ValueError, InvalidTag):
        raise AlteredError("a toy token that is none") from None


FORMAT = Toy()
