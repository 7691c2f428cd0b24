"""Secrets of our formats sealed anew in SOPS's, and the other way; everything else of a file stays in its bytes."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.document import kinds
from secretsvc.errors import InputError
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.sealing import named
from secretsvc.formats.sops.selection import Selection
from secretsvc.keyref import KeyGroups, divided, keyset, refuse_flattening
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.reader import read
from secretsvc.operations.documents import groups_needed, open_file
from secretsvc.operations.documents.keysets import sops_keyset
from secretsvc.operations.documents.seal import FOR_SECRETS, SopsRule, seal_file
from secretsvc.operations.open import open_secrets, restored
from secretsvc.operations.repeats import lines_of
from secretsvc.operations.seal import seal_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretsvc.document.base import Document
    from secretsvc.formats.sops.metadata import Metadata
    from secretsvc.keyref import KeyRef, Keyset
    from secretsvc.manifest.model import Secret
    from secretsvc.operations import Result
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.documents.keysets import SopsKeyset
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request

    NamedKeys = Callable[[Secret, str], "Keyset | None"]
    """The keyset that a policy has for a Secret; None where it says nothing."""

_FIELDS = [(field,) for field in FIELDS]
_NO_SECRETS = "not all of its documents are Secrets"


def to_sops(
    data: bytes, name: str, request: Request, keyring: Keyring, *, keys: SopsKeyset | None, rule: SopsRule
) -> Result:
    """Return a manifest of sealed Secrets as a file that SOPS's format seals.

    `keys`: whom to; None: to the keys that the Secrets have, changed as the request has it. Raises InputError where
    there is more in it than Secrets, these have different keys, or the rule would leave a value of theirs in the
    clear, KeyRefError where one key would open what groups of keys opened, and what opening and sealing raise.
    """
    kind = kinds.kind_of(name)
    if name == "-":
        kind = "json" if data.lstrip()[:1] == b"{" else "yaml"
    if kind not in ("yaml", "json"):
        what = "sops would take a file of that name for one of any bytes"
        raise InputError(what, hint="give it a name that ends in .yaml, .yml or .json")
    manifest = read(data)
    opened = open_secrets(manifest, keyring, request.trust)
    held = {one.refs for one in opened.values()}
    manifest = formats.outline(manifest)
    clear = restored(manifest, opened).data
    del manifest, opened
    document = kinds.read(kind, clear, MEMBER)
    if not _are_secrets(document):
        hint = "its rule would be for all of them: split the file, and convert the Secrets"
        raise InputError(_NO_SECRETS, hint=hint)
    _refuse_clear(document, rule)
    keys = keys or _carried(held, request)
    refuse_flattening(max(len(divided(refs)[0]) for refs in held), len(keys.groups))
    return seal_file(clear, keys, rule, keyring, name=name, now=request.created, kind=kind)


def _refuse_clear(document: Document, rule: SopsRule) -> None:
    """Refuse a rule that leaves in the clear what is sealed now. Raises InputError."""
    selection = Selection(*(rule.selection or FOR_SECRETS))
    for leaf in document.leaves:
        is_due = selection.selects(leaf)
        if not is_due and leaf.path[:1] in _FIELDS and leaf.value.kind != "comment" and leaf.value.text:
            what = f"{named(leaf.path)} would stand in the clear: {selection.rule} does not mean it"
            raise InputError(what, hint="mend the rule of .sops.yaml", line=leaf.line)


def _carried(held: set[Keyset], request: Request) -> SopsKeyset:
    """The keys that all of its Secrets have, changed as the request has it. Raises InputError, KeyRefError."""
    if request.change.exact:
        wanted = request.change.applied(())
    elif len(held) > 1:
        what = "its Secrets are sealed to different keys, and in SOPS's format a file has one list of them"
        raise InputError(what, hint="split the file, or name the keys with -k")
    else:
        wanted = request.change.applied(next(iter(held)))
    return sops_keyset(wanted)


def from_sops(tree: SealedTree, request: Request, keyring: Keyring, policy: NamedKeys) -> Result:
    """Return a file that SOPS's format seals as a manifest in the request's format, to the keys that it has.

    `policy`: the keyset that it has for a Secret comes before; the request's change counts for either. What can't be
    taken over is told in the notes. Raises InputError where it is more than Secrets, or seals more of these than their
    values, KeyRefError where one key would open what groups of keys opened, and what opening (the MAC is checked first)
    and sealing raise.
    """
    data, metadata = tree.document.data, tree.metadata
    if request.change.exact:
        refuse_flattening(metadata.groups, len(divided(request.change.exact)[0]))
    _refuse_others(tree.document)
    notes = list(_uncovered(tree.document))
    result = open_file(tree, keyring)
    if not _are_secrets(kinds.read(tree.document.kind, result.data, MEMBER)):
        raise InputError(_NO_SECRETS, hint="trees of other kinds stay in SOPS's format")
    lost = [str(entry.key.ref) for entry in metadata.entries if not entry.is_opened_here]

    def default_keys(secret: Secret, format_: str) -> Keyset:
        named = policy(secret, format_)
        if named is not None:
            refuse_flattening(metadata.groups, len(divided(named)[0]))
            return named
        refs = _taken_over(metadata)
        notes.extend(
            (metadata.line, f"{ref} is not among its keys any more: no backend is here for it") for ref in lost
        )
        lost.clear()
        return refs

    sealed = _sealed(data, result.data, request._replace(default_keys=default_keys), keyring)
    return sealed._replace(notes=(*notes, *sealed.notes))


def _taken_over(metadata: Metadata) -> Keyset:
    """The keys of a file of SOPS's that can be used here, in its groups. Raises InputError where a group has none."""
    groups: list[list[KeyRef]] = [[] for _ in range(metadata.groups)]
    for entry in metadata.entries:
        if entry.is_opened_here:
            groups[entry.key.group].append(entry.key.ref)
    if len(groups) == 1:
        return keyset(groups[0])
    if not all(groups):
        what = f"group {groups.index([]) + 1} of its keys has none that a backend here is for"
        raise InputError(what, hint="name the keys with -k, or groups of them with --group", line=metadata.line)
    return KeyGroups(groups, groups_needed(metadata))


def _sealed(data: bytes, clear: bytes, request: Request, keyring: Keyring) -> Result:
    with lines_of(data, clear):
        return seal_manifest(clear, request, keyring)


def _are_secrets(document: Document) -> bool:
    """Tell whether every document of a file in the clear is a Secret."""
    found = {leaf.unit: leaf.value.text for leaf in document.leaves if leaf.path == ("kind",)}
    return len(found) == document.units and set(found.values()) == {b"Secret"}


def _refuse_others(document: Document) -> None:
    """Refuse what would stand in the clear: values that are sealed, and none of a Secret's. Raises InputError."""
    if document.kind not in ("yaml", "json"):
        raise InputError("it is no manifest", hint="trees of other kinds stay in SOPS's format")
    kind = next((leaf for leaf in document.leaves if leaf.path == ("kind",)), None)
    if kind and not is_token(kind.value.text) and kind.value.text != b"Secret":
        raise InputError(_NO_SECRETS, hint="trees of other kinds stay in SOPS's format", line=kind.line)
    if not kind:
        raise InputError("it is a tree, and no Secret", hint="trees of other kinds stay in SOPS's format")
    for leaf in document.leaves:
        is_value = leaf.value.kind != "comment" and is_token(leaf.value.text)
        if is_value and (len(leaf.path) != 2 or leaf.path[0] not in FIELDS):
            what = f"{named(leaf.path)} is sealed, and would stand in the clear: no other format seals it"
            raise InputError(what, hint="move it under stringData, or leave the file in SOPS's format", line=leaf.line)


def _uncovered(document: Document) -> Iterator[tuple[int, str]]:
    """What is sealed, and will not be."""
    for leaf in document.leaves:
        if leaf.value.kind == "comment" and is_token(leaf.value.text):
            yield leaf.line, "a sealed comment, which stands in the clear now: no other format seals comments"
