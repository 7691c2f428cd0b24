"""Opening: sealed manifest → the bytes that were sealed, or nothing."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.errors import AlteredError, InputError, KsecretError, ManifestError, NotSealedError
from secretsvc.manifest import nodes
from secretsvc.manifest.reader import read
from secretsvc.operations import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import TypeAlias

    from secretsvc.formats.base import Format, Opened, Sealed, Trust
    from secretsvc.keyref import WrappedKey
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring

    Parents: TypeAlias = dict[tuple[str | None, str | None], Opened]
    """Opened Secrets by namespace and name."""


_LITTLE = 64 * 1024
"""Bytes of a file of which two trees may be in memory at once."""


def sops_tree(data: bytes, name: str = "", kind: str = "") -> SealedTree | None:
    """The file, where it is a tree that SOPS's format seals. Raises ManifestError, AlteredError for a broken one.

    `name`: the file's, whose end says of which kind it is, unless `kind` does.
    """
    if b"sops" not in data:
        return None
    from secretsvc.operations import documents  # few files are

    return documents.find(data, name, kind)


def may_ask_for_role(data: bytes) -> bool:
    """Tell whether it may be a tree of SOPS's with a key that is to be used in an IAM role. Costs next to nothing."""
    return b":role/" in data and b"sops" in data


def open_any(data: bytes, keyring: Keyring, name: str = "") -> Result:
    """A file opened, be it a manifest or a tree that SOPS's format seals. Raises as `open_manifest`."""
    tree = sops_tree(data, name)
    if tree:
        from secretsvc.operations import documents

        return documents.open_file(tree, keyring)
    return open_manifest(data, keyring)


def open_manifest(data: bytes, keyring: Keyring) -> Result:
    """The manifest with every sealed Secret opened; Secrets in the clear stay as they are.

    Raises NotSealedError where nothing is sealed, AlteredError, NoKeyError, BackendError, ManifestError.
    """
    manifest = read(data)
    opened = open_secrets(manifest, keyring)
    if len(data) > _LITTLE:
        manifest = formats.outline(manifest)  # what is restored is read again
    return Result(restored(manifest, opened).data, len(opened), formats.of(manifest).binds)


def open_secrets(
    manifest: Manifest, keyring: Keyring, trust: Trust | None = None, only: Collection[int] | None = None
) -> dict[int, Opened]:
    """Every sealed Secret of a manifest, or of `only` these. `trust`: see `Request`. Raises as `open_manifest`."""
    refuse_lost(manifest)
    sealed = formats.sealed_in(manifest)
    due = [index for index in sealed if only is None or index in only]
    if sealed and not due and only:
        label = manifest.secrets[min(only)].label
        raise NotSealedError(f"{label} is not sealed", hint="ksecret encrypt seals it")
    if not due:
        raise nothing_sealed(manifest)
    return {index: open_secret(manifest, index, keyring, trust) for index in due}


def open_secret(
    manifest: Manifest,
    index: int,
    keyring: Keyring,
    trust: Trust | None = None,
    *,
    allow_clear: bool = False,
    moved: bool = False,
    retyped: bool = False,
) -> Opened:
    """One sealed Secret, everything checked before any value is used, and before a key is, as far as that goes.

    `allow_clear` passes over entries without a token, which resealing then seals; `moved` over a name or namespace,
    `retyped` over a type that is not the one it was sealed for (one of Kubernetes' own), which resealing then gives it.
    """
    format_, secret = formats.of(manifest), manifest.secrets[index]
    sealed = format_.read(manifest, secret)
    if not moved:
        format_.check_bound(secret, sealed)
    if not allow_clear:
        _refuse_clear(format_, secret)
    if not trust:
        format_.check_provable(sealed)
    dek = _dek(format_, secret, sealed, keyring_for(format_, keyring))
    return format_.open(secret, sealed, dek, trust=trust, retyped=retyped)


def _dek(format_: Format, secret: Secret, sealed: Sealed, keyring: Keyring) -> bytes:
    """The DEK, by any of its keys, or by as many groups of them as it takes."""
    if sealed.threshold == 1:
        return keyring.unwrap(sealed.keys)
    from secretsvc.operations import shares

    def group(number: int, keys: tuple[WrappedKey, ...]) -> shares.GroupOfKeys:
        schemes = frozenset(key.ref.scheme for key in keys)
        return shares.GroupOfKeys(lambda: shares.checked_share(keyring.unwrap(keys), number), schemes)

    groups = [group(number, keys) for number, keys in enumerate(sealed.groups)]
    return shares.join(groups, sealed.threshold, lambda dek: format_.is_dek(secret, sealed, dek))


def keyring_for(format_: Format, keyring: Keyring) -> Keyring:
    """The keyring as that format wants it."""
    return keyring.signed() if format_.signed else keyring


def _refuse_clear(format_: Format, secret: Secret) -> None:
    for entry in secret.entries:
        if not format_.is_token(entry.value):
            raise AlteredError(
                f"{entry.path} is not sealed, in a Secret that is",
                hint="ksecret encrypt seals it too; or restore the file from Git",
                line=entry.scalar.line,
            )


def nothing_sealed(manifest: Manifest) -> KsecretError:
    """Return the error for a manifest without a sealed Secret in it: what it is instead, and the way out."""
    from secretsvc.operations import nothing  # only to tell what is wrong

    return nothing.nothing_sealed(manifest)


def nothing_sealed_in(data: bytes) -> KsecretError:
    """The same of bytes. Raises ManifestError where they can't be read."""
    return nothing_sealed(read(data, allow_binary_tag=True))


def refuse_lost(manifest: Manifest) -> None:
    """Raises AlteredError for sealed text in it that would pass for clear text: nobody is to be handed that."""
    format_ = formats.of(manifest)
    are_sealed = all(format_.is_sealed(manifest, secret) for secret in manifest.secrets)
    roots = (document for document in manifest.documents if isinstance(document, nodes.Mapping))
    if are_sealed and not (any(nodes.member(root, "sops") for root in roots) or "ENC[" in manifest.text):
        return
    from secretsvc.formats import lost  # most manifests have nothing of it

    for found in lost.in_manifest(manifest):
        raise AlteredError(found.message, hint=found.hint, line=found.line)


def refuse_lost_in(data: bytes) -> None:
    """The same of bytes that have none of the formats' markers. What can't be read is left to whoever gets it.

    Raises AlteredError.
    """
    try:
        manifest = read(data, allow_binary_tag=True)
    except ManifestError:
        return
    refuse_lost(manifest)


def refuse_other_namespaces(data: bytes, namespace: str, name: str = "") -> None:
    """Raises InputError where something in a file is sealed that is not bound to that namespace; no key is asked.

    What an envelope says of that is proven when it opens. Raises ManifestError and AlteredError for what can't be read.
    """
    if sops_tree(data, name):
        raise _unbound(namespace, "SOPS's format binds a file")
    manifest = read(data)
    format_ = formats.of(manifest)
    for index in formats.sealed_in(manifest):
        secret = manifest.secrets[index]
        sealed = format_.read(manifest, secret)
        if not format_.binds:
            raise _unbound(namespace, f"{format_.label} binds {secret.label}", sealed.line)
        if sealed.sealed_for.rpartition("/")[0] != namespace:
            raise InputError(
                f"{secret.label} was sealed for {sealed.sealed_for}, and only what was sealed for the namespace"
                f" {namespace} is opened here",
                hint=f"whoever holds a key: ksecret rename -n {namespace} FILE, where it belongs there",
                line=sealed.line,
            )


def _unbound(namespace: str, what: str, line: int = 0) -> InputError:
    return InputError(
        f"{what} to no namespace, and only what was sealed for the namespace {namespace} is opened here",
        hint="whoever holds a key: ksecret convert --to ksecret FILE",
        line=line,
    )


def refuse_no_manifest(data: bytes) -> None:
    """Raises InputError for bytes that are no manifest, and so nothing to hand to kubectl."""
    from secretsvc.manifest import foreign

    found = foreign.no_manifest(data) or foreign.conflict(data)
    if found:
        raise InputError(found.message, hint=found.hint, line=found.line)


def restored(manifest: Manifest, opened: Mapping[int, Opened]) -> Manifest:
    """The manifest with these Secrets in the clear, read again. Raises AlteredError where they can't be written back.

    Of the sealed one, an outline will do.
    """
    return formats.of(manifest).restored(manifest, opened)


def open_parents(data: bytes, keyring: Keyring) -> Parents:
    """The sealed Secrets of a manifest, to seal others after. Raises as `open_manifest`."""
    manifest = read(data)
    opened = open_secrets(manifest, keyring)
    return {(manifest.secrets[index].namespace, manifest.secrets[index].name): one for index, one in opened.items()}


def parent_of(secret: Secret, parents: Parents) -> Opened | None:
    """The parent of the same name and namespace, or the only one that there is."""
    only = next(iter(parents.values())) if len(parents) == 1 else None
    return parents.get((secret.namespace, secret.name), only)
