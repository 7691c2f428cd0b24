"""The toy's backend: its keys follow from a token and their names. This module alone imports the toy's SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import toy_sdk

from secretsvc.backends.base import checked_dek
from secretsvc.errors import RESTORE_HINT, AlteredError, BackendError, BackendUnavailableError, KeyNotHeldError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.backends.base import Settings
    from secretsvc.keyref import KeyRef


class Toy:
    """Credentials: `TOY_TOKEN`. The encryption context is authenticated. A host `gone.…` answers nobody."""

    jobs = 3

    def __init__(self, settings: Settings) -> None:
        self._token = settings.environ.get("TOY_TOKEN", "")

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        return toy_sdk.seal(self._key(ref), dek, context)

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        key = self._key(ref)
        if len(wrapped) > toy_sdk.LENGTH:
            raise AlteredError("its wrapped data key is too long", hint=RESTORE_HINT)
        dek = toy_sdk.opened(key, wrapped, context)
        if dek is None:
            raise AlteredError("its wrapped data key was altered", hint=RESTORE_HINT)
        return checked_dek(dek)

    def describe(self, ref: KeyRef) -> str:
        return "a toy"

    def _key(self, ref: KeyRef) -> bytes:
        if ref.id.startswith("gone."):
            raise BackendUnavailableError("the toy KMS can't be reached", hint="try again")
        if ref.id.startswith("others."):
            raise KeyNotHeldError("that key is somebody else's", hint="ask them")
        if not self._token:
            raise BackendError("there is no token for the toy KMS", hint="set TOY_TOKEN")
        return toy_sdk.key(self._token, ref.id)
