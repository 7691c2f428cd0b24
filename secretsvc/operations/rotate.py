"""New DEKs, or the same ones wrapped anew."""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import cache
from typing import TYPE_CHECKING

from secretsvc.errors import AlreadySealedError
from secretsvc.formats.ksecret import envelope as ksecret
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply, replace_member
from secretsvc.operations.convert import convert_manifest
from secretsvc.operations.inspect import describe_manifest
from secretsvc.operations.open import nothing_sealed, open_secret, open_secrets
from secretsvc.operations.result import Result
from secretsvc.operations.seal import Pending

if TYPE_CHECKING:
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.keys import Keyring
    from secretsvc.operations.request import Request


def rotate_manifest(data: bytes, request: Request, keyring: Keyring) -> Result:
    """The manifest with a new DEK, and new tokens, in every sealed Secret whose DEK the request finds too old.

    Secrets in the clear stay so. Raises NotSealedError, AlreadySealedError where there is nothing to do, and what
    opening and sealing raise.
    """
    manifest = read(data)
    request = request._replace(allow_repeated=True)  # it changes neither values nor what is in the clear
    if request.format and request.format != ("kubesec" if manifest.is_kubesec else "ksecret"):
        return convert_manifest(data, request, keyring)
    due = [
        index
        for index, secret in enumerate(manifest.secrets)
        if request.rotates(ksecret.read(secret.envelope).created if secret.envelope else "")
        and (secret.envelope or manifest.is_kubesec)
    ]
    if not due:
        if manifest.is_kubesec or any(secret.envelope for secret in manifest.secrets):
            raise AlreadySealedError("no data key in it is that old")
        raise nothing_sealed(manifest)
    opened = {index: open_secrets(manifest, keyring, request.trust, only=index)[index] for index in due}
    pending = Pending(manifest, request, keyring, opened=opened)
    del manifest  # the proof reads another one
    return pending.proven()


def overdue(data: bytes, before: str) -> list[tuple[str, str]]:
    """Label and time of each DEK made before then, or at a time that is not known (empty), told without a key."""
    described = describe_manifest(data, lambda _: "")
    return [(one.label, one.created) for one in described if one.sealed and one.created < before]


def rewrap_manifest(data: bytes, keyring: Keyring) -> Result:
    """The manifest with every sealed Secret's wrapped DEKs replaced; values, tokens and DEKs stay.

    A Secret is opened and checked first, but for those whose KEKs all rewrap by themselves (AWS KMS).

    Raises NotSealedError, AlteredError for one that was moved, and what wrapping and unwrapping raise.
    """
    manifest = read(data)
    if manifest.is_kubesec:
        return Result(manifest.encoded(apply(manifest.text, _kubesec_edits(manifest, keyring))), 1, bound=False)
    edits = [_edit(manifest, secret, keyring) for secret in manifest.secrets if secret.envelope]
    if not edits:
        raise nothing_sealed(manifest)
    return Result(manifest.encoded(apply(manifest.text, edits)), len(edits))


def _edit(manifest: Manifest, secret: Secret, keyring: Keyring) -> Edit:
    assert secret.envelope
    envelope = ksecret.read(secret.envelope)
    ksecret.check_bound(envelope.sealed_for, secret)
    dek = cache(lambda: open_secret(secret, keyring).dek.secret)
    keys = keyring.rewrap(envelope.keys, ksecret.context(envelope.sealed_for), dek)
    fresh = envelope._replace(keys=keys)
    return replace_member(manifest.text, secret.root, secret.envelope, lambda layout: ksecret.render(fresh, layout))


def _kubesec_edits(manifest: Manifest, keyring: Keyring) -> list[Edit]:
    from secretsvc.formats.kubesec import envelope as kubesec
    from secretsvc.formats.kubesec.crypto import armoured
    from secretsvc.operations.kubesec import open_file

    _, envelope = kubesec.read(manifest)
    dek = cache(lambda: open_file(manifest, keyring, None).dek.secret)
    fresh = keyring.signed().rewrap({str(ref): wrapped for ref, wrapped in envelope.keys}, {}, dek)
    for uri, wrapped in fresh.items():
        if uri.startswith("pgp:"):
            fresh[uri] = b64encode(armoured(b64decode(wrapped))).decode()
    return kubesec.put(manifest.text, envelope._replace(keys=tuple((ref, fresh[str(ref)]) for ref in envelope.refs)))
