"""Wrapping the same DEKs anew, under each KEK's current version: values and tokens stay."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from secretsvc.errors import NotSealedError
from secretsvc.formats import ksecret
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply, replace_member
from secretsvc.operations.open import Result

if TYPE_CHECKING:
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.keys import Keyring


def rewrap_manifest(data: bytes, keyring: Keyring) -> Result:
    """The manifest with every sealed Secret's wrapped DEKs replaced.

    Raises NotSealedError, AlteredError for one that was moved, and what wrapping and unwrapping raise.
    """
    manifest = read(data)
    if manifest.is_kubesec:
        return Result(manifest.encoded(apply(manifest.text, _kubesec_edits(manifest, keyring))), 1, bound=False)
    edits = [_edit(manifest, secret, keyring) for secret in manifest.secrets if secret.envelope]
    if not edits:
        raise NotSealedError("no Secret in it is sealed", hint="ksecret encrypt seals one")
    return Result(manifest.encoded(apply(manifest.text, edits)), len(edits))


def _edit(manifest: Manifest, secret: Secret, keyring: Keyring) -> Edit:
    assert secret.envelope
    envelope = ksecret.read(secret.envelope)
    ksecret.check_bound(envelope.sealed_for, secret)
    keys = keyring.rewrap(envelope.keys, ksecret.context(envelope.sealed_for))
    fresh = envelope._replace(keys=keys)
    return replace_member(manifest.text, secret.root, secret.envelope, lambda layout: ksecret.render(fresh, layout))


def _kubesec_edits(manifest: Manifest, keyring: Keyring) -> list[Edit]:
    from secretsvc.formats import kubesec
    from secretsvc.formats.kubesec_crypto import armoured

    _, envelope = kubesec.read(manifest)
    fresh = keyring.signed().rewrap({str(ref): wrapped for ref, wrapped in envelope.keys}, {})
    for uri, wrapped in fresh.items():
        if uri.startswith("pgp:"):
            fresh[uri] = b64encode(armoured(b64decode(wrapped))).decode()
    return kubesec.put(manifest.text, envelope._replace(keys=tuple((ref, fresh[str(ref)]) for ref in envelope.refs)))
