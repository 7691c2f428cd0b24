"""Changing single values, labels and annotations of a sealed Secret: what is not named keeps its bytes."""

from __future__ import annotations

from base64 import b64encode

from secretsvc import formats
from secretsvc.errors import AlreadySealedError, InputError, ManifestError, NotSealedError, UsageError, nearest
from secretsvc.manifest import change, nodes
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.reader import read
from secretsvc.operations.clear_rest import ClearBefore
from secretsvc.operations.get import LISTS, pick, refuse_without_values
from secretsvc.operations.open import open_secret, open_secrets, refuse_lost
from secretsvc.operations.patched_secret import PatchedSecret
from secretsvc.operations.repeats import lines_of
from secretsvc.operations.seal import Pending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.formats.base import Opened, Place
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations import Result
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Changes, Request


def patch_manifest(data: bytes, changes: Changes, request: Request, keyring: Keyring, which: str = "") -> Result:
    """The manifest with one sealed Secret changed, in its format, under its DEK unless somebody lost a key.

    `which`: `NAME` or `NAMESPACE/NAME`; may be empty where one Secret is sealed. A value that is there already keeps
    its token, unless the request is blind. Raises NotSealedError, InputError, and what opening and sealing raise.
    """
    manifest = read(data)
    before = ClearBefore(manifest)
    index = pick(manifest, which)
    refuse_without_values(manifest, index)
    values = _values(changes, manifest.secrets[index])  # names are in the clear: a slip costs nobody a key's use
    opened = open_secrets(manifest, keyring, request.trust, only=(index,))[index]
    for place, value in values.items():
        if value and (formats.named(formats.DEFAULT).is_token(value) or value.rstrip("\n") == opened.tokens.get(place)):
            raise ManifestError(f'{place[0]}["{place[1]}"] would be a token, not a value', hint="give the clear value")
    patch = PatchedSecret(manifest, index, values, _metadata(changes), None if request.blind else opened)
    del manifest  # else its tree was in memory beside those of what it becomes
    patched = patch.read()
    with lines_of(data, patched.data):
        pending = Pending(patched, request, keyring, opened={index: opened}, before=before)
        del patched  # the proof reads another tree
        sealed = pending.proven()
    return sealed._replace(secrets=1, bound=opened.format.binds)


def with_changes(manifest: Manifest, index: int, changes: Changes) -> Manifest:
    """The manifest as it is before the changed values of that Secret are sealed. Raises InputError, UsageError."""
    return PatchedSecret(manifest, index, _values(changes, manifest.secrets[index]), {}).read()


def rename_manifest(
    data: bytes, identity: Mapping[str, str], request: Request, keyring: Keyring, which: str = ""
) -> Result:
    """One sealed Secret under another `name`, in another `namespace`; without any, under those it was given by hand.

    It is opened by what it was sealed for, and sealed for what it is called now, with a new DEK. Another `type` has to
    be named, and keeps the DEK: the seal covers it, tokens don't.
    Raises AlreadySealedError where that is the same, and what opening and sealing raise.
    """
    manifest = read(data)
    index = pick(manifest, which)
    opened = _open_moved(manifest, index, request, keyring, retyped="type" in identity)
    who: dict[change.Path, str] = {
        ("type",) if member == "type" else ("metadata", member): text for member, text in identity.items()
    }
    patch = PatchedSecret(manifest, index, {}, who)
    del manifest  # else its tree was in memory beside those of what it becomes
    renamed = patch.read()
    request = request._replace(allow_repeated=True)  # a name is always in the clear
    pending = Pending(renamed, request, keyring, opened={index: opened})
    del renamed  # the proof reads another tree
    sealed = pending.proven()
    if sealed.data == data:
        raise AlreadySealedError("it is sealed for that name, namespace and type already")
    return sealed._replace(secrets=1, bound=opened.format.binds)


def _open_moved(manifest: Manifest, index: int, request: Request, keyring: Keyring, *, retyped: bool) -> Opened:
    """The Secret opened by what it was sealed for, whatever it is called. Raises NotSealedError, and as opening."""
    refuse_lost(manifest)
    if index in formats.sealed_in(manifest):
        return open_secret(manifest, index, keyring, request.trust, moved=True, retyped=retyped)
    raise NotSealedError("this Secret is not sealed", hint="rename it in an editor")


def _values(changes: Changes, secret: Secret) -> dict[Place, str | None]:
    """The new texts as they stand in a manifest, base64 under `data`. Raises UsageError, InputError."""
    found: dict[Place, str | None] = {}
    held: dict[str, list[str]] = {}
    for entry in secret.entries:
        held.setdefault(entry.key, []).append(entry.field)
    for key, value in changes.values.items():
        fields = held.get(key, [])
        if value is None and not fields:
            raise InputError(f"it has no key {key}{nearest(key, held)}", hint=LISTS, entry=key)
        if value is None:
            found |= {(field, key): None for field in fields}
        elif (fields or [_field_of_new(secret, changes, value)])[-1] == "stringData":  # the one that Kubernetes takes
            found["stringData", key] = _text(key, value)
        else:
            found["data", key] = b64encode(value).decode()
    for key, value in changes.data.items():
        found["data", key] = None if value is None else b64encode(value).decode()
    return found | {("stringData", key): value for key, value in changes.string_data.items()}


def _field_of_new(secret: Secret, changes: Changes, value: bytes) -> str:
    """`stringData` where that is asked for, or alone there and the value a text; else `data`, which holds any bytes.

    So two people who add an entry to the same file add it to the same mapping, and merge.
    """
    filled = {entry.field for entry in secret.entries} or {
        field for field in FIELDS if nodes.member(secret.root, field)
    }
    alone = filled == {"stringData"} and b"\0" not in value and _is_text(value)  # not every format takes a NUL there
    return "stringData" if changes.prefer_text or alone else "data"


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(key: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"the value for {key} is not UTF-8 text, as stringData must be", hint="unset it first"
        ) from None


def _metadata(changes: Changes) -> dict[change.Path, str]:
    return {
        **{("metadata", key): value for key, value in changes.metadata.items()},
        **{("metadata", "labels", key): value for key, value in changes.labels.items()},
        **{("metadata", "annotations", key): value for key, value in changes.annotations.items()},
    }
