"""The facts and verbs of kubesec's format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.formats.base import Format
from secretsvc.formats.kubesec import envelope

if TYPE_CHECKING:
    from secretsvc.manifest.model import Entry, Manifest, Secret


class Kubesec(Format):
    """One Secret in a file, its values and keys proven by a MAC, which covers no name."""

    name = "kubesec"
    label = "kubesec's format"
    binds = False
    proves_values = True
    signed = True
    default_key = "pgp:default"

    def is_sealed(self, manifest: Manifest, secret: Secret) -> bool:
        return envelope.VERSION_LINE in manifest.text

    def is_token(self, entry: Entry) -> bool:
        return envelope.is_token(entry)


FORMAT = Kubesec()
