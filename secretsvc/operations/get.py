"""Reading single values of a sealed Secret, and telling which one is meant where a manifest has several."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.errors import InputError, ManifestError, nearest
from secretsvc.manifest.model import decode_base64
from secretsvc.manifest.reader import read
from secretsvc.operations import Result
from secretsvc.operations.open import nothing_sealed, open_secrets, restored, sops_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.keyring import Keyring

LISTS = "ksecret get FILE lists them"
"""What to do about a key that there is not."""


def get_value(data: bytes, key: str, keyring: Keyring, which: str = "") -> Result:
    """One value's bytes, decoded.

    `stringData` wins over `data`, as in Kubernetes. Raises InputError, and as `open_manifest`.
    """
    tree = None if which else sops_tree(data)
    if tree:
        from secretsvc.operations import documents

        return documents.get_value(tree, key, keyring)
    manifest = read(data)
    index = pick(manifest, which)
    names = _names(manifest.secrets[index])
    if key not in names:  # names are in the clear: a slip costs nobody a key's use
        refuse_without_values(manifest, index)
        raise InputError(f"it has no such key{nearest(key, names)}", hint=LISTS)
    opened = open_secrets(manifest, keyring, only=(index,))
    manifest = formats.outline(manifest)  # what is restored is read again
    clear = restored(manifest, opened).secrets[index]
    entry = [entry for entry in clear.entries if entry.key == key][-1]
    try:
        value = decode_base64(entry.value) if entry.field == "data" else entry.value.encode()
    except ValueError:  # other programs seal that under data, too
        raise ManifestError(f"{entry.path} is not base64", line=entry.scalar.line) from None
    return Result(value, 1, bound=formats.of(manifest).binds)


def entry_names(data: bytes, which: str = "") -> list[tuple[str, list[str]]]:
    """The label of each Secret, and the names of its entries, sealed or not. Needs no key; raises InputError.

    `which`: `NAME` or `NAMESPACE/NAME`; empty for all of them. Of a tree in SOPS's format, the paths of its values.
    """
    tree = None if which else sops_tree(data)
    if tree:
        from secretsvc.operations import documents

        return [("", documents.paths(tree))]
    manifest = read(data)
    if not manifest.secrets:
        from secretsvc.operations import nothing  # only to tell what is wrong

        raise nothing.no_such_secret(manifest)
    meant = [manifest.secrets[pick(manifest, which)]] if which else manifest.secrets
    return [(secret.label, _names(secret)) for secret in meant]


def _names(secret: Secret) -> list[str]:
    return list(dict.fromkeys(entry.key for entry in secret.entries))


def pick(manifest: Manifest, which: str = "") -> int:
    """The index of the Secret that is meant. Raises InputError where that is not exactly one."""
    named = {
        index: secret.label for index, secret in enumerate(manifest.secrets) if which in ("", secret.name, secret.label)
    }
    if len(named) == 1:
        return next(iter(named))
    if not named:
        from secretsvc.operations import nothing  # only to tell what is wrong

        raise nothing.no_such_secret(manifest) if which else nothing.nothing_sealed(manifest)
    raise InputError(
        f"it holds {len(named)} Secrets that could be meant: {', '.join(named.values())}",
        hint="name one with --secret NAMESPACE/NAME",
    )


def refuse_without_values(manifest: Manifest, index: int) -> None:
    """Raises NotSealedError for a Secret with neither a value nor an envelope: no key's name was misspelled there."""
    secret = manifest.secrets[index]
    if not (secret.entries or formats.of(manifest).is_sealed(manifest, secret)):
        raise nothing_sealed(manifest)
