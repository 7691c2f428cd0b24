"""New DEKs, or the same ones wrapped anew."""

from __future__ import annotations

from functools import cache

from secretsvc import formats
from secretsvc.errors import AlreadySealedError
from secretsvc.keyref import KeyGroups
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply
from secretsvc.operations import Result
from secretsvc.operations.convert import convert_manifest
from secretsvc.operations.inspect import describe_any
from secretsvc.operations.open import keyring_for, nothing_sealed, open_secret, open_secrets
from secretsvc.operations.seal import Pending, wrapped_shares

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Manifest
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request


def rotate_manifest(data: bytes, request: Request, keyring: Keyring) -> Result:
    """The manifest with a new DEK, and new tokens, in every sealed Secret whose DEK the request finds too old.

    Secrets in the clear stay so. Raises NotSealedError, AlreadySealedError where there is nothing to do, and what
    opening and sealing raise.
    """
    manifest = read(data)
    request = request._replace(allow_repeated=True)  # it changes neither values nor what is in the clear
    format_, sealed = formats.of(manifest), formats.sealed_in(manifest)
    if request.format and request.format != format_.name:
        return convert_manifest(data, request, keyring)
    due = [index for index in sealed if request.rotates(format_.read(manifest, manifest.secrets[index]).created)]
    if not due:
        raise AlreadySealedError("no data key in it is that old") if sealed else nothing_sealed(manifest)
    opened = open_secrets(manifest, keyring, request.trust, only=set(due))
    pending = Pending(manifest, request, keyring, opened=opened)
    del manifest  # the proof reads another one
    return pending.proven()


def overdue(data: bytes, before: str, name: str = "") -> list[tuple[str, str]]:
    """Label and time of each DEK made before then, or at a time that is not known (empty), told without a key."""
    described = describe_any(data, lambda _: "", name)
    return [(one.label, one.created) for one in described if one.sealed and one.created < before]


def rewrap_manifest(data: bytes, keyring: Keyring) -> Result:
    """The manifest with every sealed Secret's wrapped DEKs replaced; values, tokens and DEKs stay.

    A Secret is opened and checked first, but for those whose KEKs all rewrap by themselves (AWS KMS). One whose keys
    are in groups is split anew: shares of two divisions of a DEK open nothing together.

    Raises NotSealedError, AlteredError for one that was moved, and what wrapping and unwrapping raise.
    """
    manifest = read(data)
    format_, sealed = formats.of(manifest), formats.sealed_in(manifest)
    edits = [edit for index in sealed for edit in _edits(manifest, index, keyring)]
    if not sealed:
        raise nothing_sealed(manifest)
    return Result(manifest.encoded(apply(manifest.text, edits)), len(sealed), format_.binds)


def _edits(manifest: Manifest, index: int, keyring: Keyring) -> list[Edit]:
    format_, secret = formats.of(manifest), manifest.secrets[index]
    sealed = format_.read(manifest, secret)
    format_.check_bound(secret, sealed)
    dek = cache(lambda: open_secret(manifest, index, keyring).dek)
    held = sealed.refs
    if isinstance(held, KeyGroups):
        keys = wrapped_shares(keyring_for(format_, keyring), dek(), held, format_.context(sealed.sealed_for))
    else:
        keys = keyring_for(format_, keyring).rewrap(sealed.keys, dek)
    return format_.put(manifest, secret, format_.with_keys(sealed.own, keys))
