"""Changing whom sealed Secrets are sealed to, and telling beforehand what would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.errors import AlreadySealedError, not_sealed
from secretsvc.formats import ksecret
from secretsvc.keyref import keyset
from secretsvc.manifest.reader import read
from secretsvc.operations.open import open_secrets
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.keys import Keyring
    from secretsvc.operations.request import Request
    from secretsvc.operations.result import Result


def key_changes(data: bytes, request: Request) -> list[tuple[str, str, bool]]:
    """Label of the Secret, KeyRef, and whether it would come (else go), for every change that the request means.

    Needs no key. Raises NotSealedError, KeyRefError, InputError.
    """
    manifest = read(data)
    return [
        (secret.label, str(ref), ref in wanted)
        for _, secret, held, wanted in _keysets(manifest, request)
        for ref in keyset(set(held) ^ set(wanted))
    ]


def change_keys(data: bytes, request: Request, keyring: Keyring) -> Result:
    """The manifest with the keysets that the request means; a Secret that loses a key gets a new DEK.

    Secrets in the clear stay so. Raises AlreadySealedError where nothing is to change, and as `seal_manifest`.
    """
    manifest = read(data)
    due = [index for index, _, held, wanted in _keysets(manifest, request) if set(held) != set(wanted)]
    if not due:
        raise AlreadySealedError("its keysets are as they should be")
    opened = {index: open_secrets(manifest, keyring, request.trust, only=index)[index] for index in due}
    request = request._replace(allow_repeated=True)  # it changes neither values nor what is in the clear
    manifest = manifest.outline()  # sealing reads it again
    return seal_manifest(data, request, keyring, opened=opened)._replace(bound=not manifest.is_kubesec)


def _keysets(manifest: Manifest, request: Request) -> Iterator[tuple[int, Secret, Keyset, Keyset]]:
    """Index, Secret, the keyset that it has, and the one that it is to have, of each that is sealed."""
    sealed = [index for index, secret in enumerate(manifest.secrets) if secret.envelope or manifest.is_kubesec]
    if not sealed:
        raise not_sealed()
    for index in sealed:
        secret = manifest.secrets[index]
        if secret.envelope:
            held, format_ = ksecret.read(secret.envelope).refs, "ksecret"
        else:
            from secretsvc.formats import kubesec

            held, format_ = keyset(kubesec.read(manifest)[1].refs), "kubesec"
        yield index, secret, held, request.wanted(held, secret, format_)
