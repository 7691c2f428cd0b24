"""The facts and verbs of format *ksecret v1*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.formats.base import Format
from secretsvc.formats.ksecret import envelope

if TYPE_CHECKING:
    from secretsvc.manifest.model import Entry, Manifest, Secret


class Ksecret(Format):
    """Secrets sealed one by one, bound to their identity by every token and by the seal."""

    name = "ksecret"
    label = "ksecret's format"
    binds = True
    proves_values = False
    signed = False
    default_key = ""

    def is_sealed(self, manifest: Manifest, secret: Secret) -> bool:
        return secret.envelope is not None

    def is_token(self, entry: Entry) -> bool:
        return envelope.is_token(entry)


FORMAT = Ksecret()
