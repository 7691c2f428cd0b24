"""From one format into the other, and values from one Secret into another."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.errors import AlreadySealedError, ManifestError
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import apply
from secretsvc.manifest.styles import rewritten
from secretsvc.operations.open import open_parents, open_secrets, restored
from secretsvc.operations.repeats import lines_of
from secretsvc.operations.seal import Pending, seal_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.operations import Result
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request


def convert_manifest(data: bytes, request: Request, keyring: Keyring) -> Result:
    """The manifest opened and sealed anew in the request's format: same keyset, new DEK.

    Raises NotSealedError, AlreadySealedError where it has that format, and what opening and sealing raise.
    """
    manifest = read(data)
    format_ = formats.of(manifest)
    if format_.name == request.format and formats.sealed_in(manifest):
        raise AlreadySealedError(f"it is in {format_.label} already")
    opened = open_secrets(manifest, keyring, request.trust)
    parents = {(manifest.secrets[index].namespace, manifest.secrets[index].name): one for index, one in opened.items()}
    manifest = formats.outline(manifest)  # what is restored is read again
    clear = restored(manifest, opened)
    with lines_of(data, clear.data):
        pending = Pending(clear, request, keyring, parents)
        del clear  # the proof reads another one
        sealed = pending.proven()
    return sealed._replace(bound=format_.binds)


def superimpose(source: bytes, target: bytes, request: Request, keyring: Keyring) -> Result:
    """`ksecret merge`: the target, in the clear, with the values that the sealed source has for its entries; sealed.

    The source lends keyset, DEK and unchanged tokens as a parent does. Raises ManifestError where one of them does not
    hold one Secret, or where the target is sealed, and what opening and sealing raise.
    """
    parents = open_parents(source, keyring)
    manifest = read(target)
    if len(parents) != 1 or len(manifest.secrets) != 1:
        raise ManifestError("merge takes a source and a target with one Secret each", hint="split the file")
    (opened,) = parents.values()
    (secret,) = manifest.secrets
    if formats.sealed_in(manifest):
        raise AlreadySealedError("merge takes a target in the clear", hint="ksecret decrypt opens it")
    values = opened.texts
    edits = [
        rewritten(manifest.text, entry, values[entry.field, entry.key])
        for entry in secret.entries
        if values.get(entry.place, entry.value) != entry.value
    ]
    clear = manifest.encoded(apply(manifest.text, edits))
    del manifest, secret  # sealing reads it again
    with lines_of(target, clear):
        sealed = seal_manifest(clear, request, keyring, parents)
    return sealed._replace(bound=opened.format.binds)
