"""Checks of a service's answers about files in SOPS's format: made without a key, before one takes a file's place.

The file is made again of what came back: the answer's values or tokens in the places of the file that was sent. Where
that is not the answer to the byte, something was changed that nobody asked for.
"""

from __future__ import annotations

from secretsvc.document import kinds
from secretsvc.document.base import apply
from secretsvc.errors import KsecretError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import is_token, is_whole
from secretsvc.formats.sops.metadata import MEMBER, Metadata
from secretsvc.formats.sops.selection import Selection
from secretsvc.operations.answers import refusal
from secretsvc.operations.documents import SealedTree
from secretsvc.operations.documents import seal as document_sealing
from secretsvc.operations.documents.changes import with_changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from secretsvc.document.base import Document, Edit, Leaf, Path, Tree
    from secretsvc.keyref import Keyset
    from secretsvc.operations.documents.seal import SopsRule
    from secretsvc.operations.request import Changes

_OTHERWISE = "is this file with other changes in it than were asked for"
_KEYS = "is not what was asked for: it is sealed to other keys, or by another rule"


def check_opened(tree: SealedTree, answer: bytes) -> None:
    """Check that it is the file that was sent, with something in each token's place. Raises BackendError."""
    before = tree.document
    if before.kind == "binary":  # all of it is the value
        if answer == before.data:
            raise refusal("is sealed still")
        return
    now = _read(before.kind, answer)
    if now.member() is not None or any(is_token(leaf.value.text) for leaf in _values(now)):
        raise refusal("is sealed still")
    for old, new in _pairs(before, now):
        if not is_token(old.value.text) and old.value != new.value:
            raise refusal(_OTHERWISE)
    if before.kind != "ini":  # in which comments may come back as one
        _check_bytes(before, now, before.drop_member())


def check_encrypted(document: Document, answer: bytes, keys: Keyset, rule: SopsRule) -> tuple[tuple[int, str], ...]:
    """Check that it is the file that was sent, sealed by that rule, to these keys (none: whichever) in one group.

    Return lines that will come back spelled otherwise, and what to say of each. Raises BackendError.
    """
    now = _read(document.kind, answer)
    member, metadata = _member_of(now)
    held = {str(entry.key.ref) for entry in metadata.entries}
    wanted = document_sealing.selection(document, rule)
    is_meant = document.kind == "binary" or metadata.rule == wanted
    if metadata.groups > 1 or (keys and held != set(map(str, keys))) or not is_meant:
        raise refusal(_KEYS)
    if metadata.mac_only_encrypted != rule.mac_only_encrypted:
        raise refusal(_KEYS)
    _check_closed(now, metadata)
    selects = Selection(*wanted).selects
    for old, new in _pairs(document, now):
        is_meant = document.kind == "binary" or selects(new)
        if not (is_token(new.value.text) if is_meant and old.value.text else new.value == old.value):
            raise refusal(_OTHERWISE)
    _check_bytes(document, now, document.set_member(member))
    back = sealing.restored(now, sealing.Opened(metadata, b"", [leaf.value for leaf in document.leaves], []))
    return tuple(document_sealing.losses(document, back))


def check_rotated(tree: SealedTree, answer: bytes) -> None:
    """Check that it has a new data key, for the same keys, and new tokens. Raises BackendError."""
    now = _sealed(tree, answer)
    kept = _tokens(tree.document) & _tokens(now.document) or _wrapped(tree) & _wrapped(now)
    if kept or tree.metadata.mac == now.metadata.mac:
        raise refusal("is not what was asked for: it has not got a new data key")
    _check_clear(tree.document, now.document, ())


def check_rewrapped(tree: SealedTree, answer: bytes) -> None:
    """Check that nothing but the wrapped data keys is another. Raises BackendError."""
    now = _sealed(tree, answer)
    told, was = now.metadata, tree.metadata
    if (told.mac, told.last_modified) != (was.mac, was.last_modified) or _texts(now.document) != _texts(tree.document):
        raise refusal("is not what was asked for: it has another data key, or other tokens")
    if _wrapped(now) & _wrapped(tree):
        raise refusal("is not what was asked for: its data key is not wrapped anew")


def check_set(tree: SealedTree, answer: bytes, changes: Changes) -> None:
    """Check that it has these values, sealed where its rule says so, and all others as they were.

    Raises BackendError, and InputError and UsageError for changes that can't be made.
    """
    document, changed = with_changes(tree, changes)
    now = _sealed(SealedTree(document, tree.metadata), answer)
    if _wrapped(now) != _wrapped(tree):
        raise refusal(_KEYS)
    selection = Selection(*tree.metadata.rule)
    for old, new in _pairs(document, now.document):
        if old.path in changed and not old.unit and selection.selects(new) and changed[old.path].text:
            fits = is_whole(new.value.text)
        else:
            fits = new.value == changed.get(old.path, old.value) if not old.unit else new.value == old.value
        if not fits:
            raise refusal(_OTHERWISE)


def _sealed(tree: SealedTree, answer: bytes) -> SealedTree:
    """Return the answer, once it is sealed whole, by the same rule to the same keys, around the same text."""
    document = _read(tree.document.kind, answer)
    member, metadata = _member_of(document)
    if _holders(metadata) != _holders(tree.metadata):
        raise refusal(_KEYS)
    _check_closed(document, metadata)
    _check_bytes(tree.document, document, tree.document.set_member(member))
    return SealedTree(document, metadata)


def _member_of(document: Document) -> tuple[dict[str, Tree], Metadata]:
    try:
        member = document.member()
        if member and isinstance(member.tree, dict):
            return member.tree, Metadata(member.tree, member.line)
    except KsecretError:  # whose line is none of the file's
        pass
    raise refusal("is not sealed")


def _check_closed(document: Document, metadata: Metadata) -> None:
    """Check that all is a token that the rule wants to be one."""
    for _ in sealing.flaws(document, Selection(*metadata.rule)):
        raise refusal("is not what was asked for: a value in it is not sealed")
    if not all(is_whole(leaf.value.text) for leaf in _values(document) if is_token(leaf.value.text)):
        raise refusal("has a token that is none")


def _holders(metadata: Metadata) -> tuple[object, ...]:
    """Return whose keys open it, and what is sealed."""
    keys = [(one.key.group, str(one.key.ref), dict(one.key.context), one.role, one.profile) for one in metadata.entries]
    return metadata.rule, metadata.mac_only_encrypted, metadata.threshold, metadata.groups, keys


def _wrapped(tree: SealedTree) -> set[bytes]:
    return {entry.key.wrapped for entry in tree.metadata.entries}


def _texts(document: Document) -> list[bytes]:
    return [leaf.value.text for leaf in document.leaves]


def _tokens(document: Document) -> set[bytes]:
    return {leaf.value.text for leaf in document.leaves if is_token(leaf.value.text)}


def _check_clear(before: Document, now: Document, changed: Container[Path]) -> None:
    for old, new in _pairs(before, now):
        fits = is_token(new.value.text) if is_token(old.value.text) else old.value == new.value
        if not fits and old.path not in changed:
            raise refusal(_OTHERWISE)


def _check_bytes(before: Document, now: Document, edits: list[Edit]) -> None:
    """Check that it is the text that was sent, with these edits, and its own values in that one's places."""
    if len(before.leaves) != len(now.leaves):
        raise refusal(_OTHERWISE)
    made = list(edits)
    for old, new in zip(before.leaves, now.leaves, strict=True):
        if old.value != new.value:
            text = new.value.text
            if new.value.kind == "comment" and not (is_token(text) or is_token(old.value.text)):
                raise refusal(_OTHERWISE)
            made += before.spell(old, text[: text.find(b"]") + 1] if is_token(text) else new.value)
    if apply(before.data, made) != now.data:
        raise refusal(_OTHERWISE)


def _read(kind: str, answer: bytes) -> Document:
    try:
        return kinds.read(kind, answer, MEMBER)
    except KsecretError:  # whose line is none of the file's
        raise refusal("is no file of that kind") from None


def _values(document: Document) -> list[Leaf]:
    return [leaf for leaf in document.leaves if leaf.value.kind != "comment"]


def _pairs(before: Document, now: Document) -> list[tuple[Leaf, Leaf]]:
    """Return each value beside what has become of it. Raises BackendError where others are there."""
    old, new = _values(before), _values(now)
    if [(leaf.unit, leaf.path) for leaf in old] != [(leaf.unit, leaf.path) for leaf in new]:
        raise refusal("is not this file")
    return list(zip(old, new, strict=True))
