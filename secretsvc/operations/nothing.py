"""Reasons why there is nothing to work on in a manifest. For messages alone, and asked only then."""

from __future__ import annotations

from secretsvc.errors import AlteredError, InputError, KsecretError, NothingToSealError, NotSealedError
from secretsvc.formats import lost
from secretsvc.manifest.foreign import some, without_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Manifest

SEAL_HINT = "ksecret encrypt seals one"


def nothing_sealed(manifest: Manifest, hint: str = SEAL_HINT) -> KsecretError:
    """Return the error for one without a sealed Secret in it. `hint`: what to do about one with Secrets in the clear.

    AlteredError where one has tokens but no envelope, else NotSealedError.
    """
    for found in lost.in_manifest(manifest):
        kind = NotSealedError if found.foreign else AlteredError
        return kind(found.message, hint=found.hint, line=found.line)
    if any(secret.entries for secret in manifest.secrets):
        return NotSealedError("no Secret in it is sealed", hint=hint)
    what = without_values(manifest)
    return NotSealedError(what.message, hint=what.hint, line=what.line)


def nothing_to_seal(manifest: Manifest) -> NothingToSealError:
    """Return the error for a manifest in which no Secret has a value."""
    found = next(lost.in_manifest(manifest), None) or without_values(manifest)
    return NothingToSealError(found.message, hint=found.hint, line=found.line)


def no_such_secret(manifest: Manifest) -> InputError:
    """Return the error for a name that no Secret of the manifest has."""
    if not manifest.secrets:
        found = next(lost.in_manifest(manifest), None) or without_values(manifest)
        return InputError(found.message, hint=found.hint, line=found.line)
    return InputError("there is no such Secret in it", hint=f"it has {some([one.label for one in manifest.secrets])}")
