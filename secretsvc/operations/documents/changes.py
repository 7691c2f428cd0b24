"""Changes of files that SOPS's format seals: values, data keys, whom they are sealed to.

Each is proven by opening the file again. Values that do not change keep their tokens, and everything else its bytes,
whoever wrote the file.
"""

from __future__ import annotations

from base64 import b64encode
from os import urandom

from secretsvc.document import kinds
from secretsvc.document.base import Value, apply
from secretsvc.document.yaml_types import plain
from secretsvc.errors import AlreadySealedError, InputError, ManifestError, UsageError, nearest
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER, Metadata
from secretsvc.formats.sops.sealing import Plan, named
from secretsvc.keyref import told_flattening
from secretsvc.operations import Result
from secretsvc.operations.documents import find_leaf, open_sealed, parsed, paths
from secretsvc.operations.documents.keysets import by_change, key_changes, loses
from secretsvc.operations.documents.shares import lists, wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from secretsvc.document.base import Document, Edit, Leaf, Path
    from secretsvc.formats.sops.metadata import KeyEntry
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.documents.keysets import WantedEntries
    from secretsvc.operations.documents.shares import Division
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Changes, Request

ADDED = Value("", b"")
"""Stands for what a leaf held that was not there: nothing is the same as that."""
_ONLY_BY_PATH = "set and unset change its values, each named by its path"


def set_values(tree: SealedTree, changes: Changes, request: Request, keyring: Keyring, which: str = "") -> Result:
    """Return the file with these values changed, added, or (None) taken away, under the same data key.

    Words are paths, or in a Secret the names of entries, as `documents.get_value` takes them. A value keeps the kind
    that was there where its text is of that kind. Raises InputError, UsageError, and what opening raises.
    """
    refuse_others(changes, which)
    values = changes.values
    for word, value in values.items():  # paths are in the clear: a slip costs nobody a key's use
        if value is None and _number(tree, word) < 0:
            raise InputError(f"it has no such value{nearest(word, paths(tree))}", hint="ksecret get FILE lists them")
    change = DocumentChange(tree, open_sealed(tree, keyring, trusting(tree, request)))
    _put(tree, change, values)
    return Result(change.sealed(request.created), 1)


def refuse_others(changes: Changes, which: str) -> None:
    """Refuse changes that are not of values by their paths. Raises UsageError."""
    others = (changes.data, changes.string_data, changes.metadata, changes.labels, changes.annotations)
    if which or any(others):
        raise UsageError("the file is a tree that SOPS's format seals", hint=_ONLY_BY_PATH)


def with_changes(tree: SealedTree, changes: Changes) -> tuple[Document, Mapping[Path, Value]]:
    """Return the file with places for these values, as it is before they are sealed; and what comes there.

    Needs no key: of a token nobody knows which kind of value it holds. Raises InputError, UsageError.
    """
    opened = sealing.Opened(tree.metadata, b"", [leaf.value for leaf in tree.document.leaves], [])
    change = DocumentChange(tree, opened)
    _put(tree, change, changes.values)
    return change.outline()


def _put(tree: SealedTree, change: DocumentChange, values: Mapping[str, bytes | None]) -> None:
    going = [word for word, value in values.items() if value is None]
    for word in (
        *(word for word in values if word not in going),
        *sorted(going, key=lambda word: -_number(tree, word)),
    ):
        change.put(word, values[word])  # the last of a list first: places in it are those that it has now


def _number(tree: SealedTree, word: str) -> int:
    """The place of the leaf that a word means, among all; -1 where there is none."""
    number = find_leaf(tree.document.leaves, word)
    return -1 if number is None else number


def rotate(tree: SealedTree, request: Request, keyring: Keyring) -> Result:
    """Return the file with a new data key, where the request finds the old one too old, to the keys that it means.

    Every value is sealed anew. Raises AlreadySealedError, InputError, and what opening raises.
    """
    if request.format:
        what = "a file keeps SOPS's format as it is rotated"
        raise UsageError(what, hint=f"ksecret convert --to {request.format} has Secrets in that one")
    if not request.rotates(tree.metadata.created):
        raise AlreadySealedError("its data key is not that old")
    has_change = any((request.change.exact, request.change.add, request.change.remove))
    change = request.change
    entries = by_change(tree.metadata, change).entries if has_change else tree.metadata.entries
    opened = open_sealed(tree, keyring, trusting(tree, request))
    return Result(sealed_anew(tree, opened, entries, request.created, keyring), 1)


def rewrap(tree: SealedTree, now: str, keyring: Keyring) -> Result:
    """Return the file with its data key wrapped anew under each key. Raises InputError, and what opening raises."""
    opened = open_sealed(tree, keyring)
    entries = wrapped(tree.metadata, tree.metadata.entries, opened.dek, now, keyring)
    return Result(_with_entries(tree, opened, entries), 1)


def change_keys(tree: SealedTree, wanted: WantedEntries, request: Request, keyring: Keyring) -> Result:
    """Return the file sealed to these keys; where somebody can't open it any more who could, with a new data key.

    The MAC is checked first: who is added must not vouch for what somebody altered. Raises InputError for keys that
    nothing here wraps with, and what opening raises. The notes tell where groups of keys go.
    """
    metadata, division = tree.metadata, wanted.division
    notes = tuple(told_flattening(metadata.line, "it", metadata.groups, division.groups))
    if not key_changes(metadata, wanted):
        return Result(tree.document.data, 0)
    opened = open_sealed(tree, keyring, trusting(tree, request))
    if loses(metadata, wanted):
        anew = sealed_anew(tree, opened, wanted.entries, request.created, keyring, division=division)
        return Result(anew, 1, notes=notes)
    kept = [entry for entry in wanted.entries if entry in metadata.entries and division.groups == metadata.groups == 1]
    new = [entry for entry in wanted.entries if entry not in kept]  # of shares all: each division makes new ones
    entries = [*kept, *wrapped(division, new, opened.dek, request.created, keyring)]
    return Result(_with_entries(tree, opened, entries, division), 1, notes=notes)


def trusting(tree: SealedTree, request: Request) -> Callable[[str], bool] | None:
    """Return what asks, as the request has it, whether somebody vouches for a file whose MAC does not fit."""
    trust = request.trust
    if not trust:
        return None
    from secretsvc.formats.base import Unproven

    keys = tuple(str(key.ref) for key in tree.metadata.keys)
    return lambda why: trust(Unproven("the file", why, keys, tuple(paths(tree))))


class DocumentChange:
    """Values of one file that change; leaves come and go in its sealed text first."""

    def __init__(self, tree: SealedTree, opened: Opened) -> None:
        self._document = tree.document
        self._opened = opened
        pairs = zip(tree.document.leaves, opened.values, strict=True)
        self._known = {leaf.value.text: value for leaf, value in pairs if is_token(leaf.value.text)}
        """Token → what it holds."""
        self._changed: dict[Path, Value] = {}
        self._added: set[Path] = set()

    def put(self, word: str, value: bytes | None) -> None:
        """DocumentChange one value, or take it away. Raises InputError, UsageError."""
        number = find_leaf(self._document.leaves, word)
        leaf = self._document.leaves[number] if number is not None else None
        if value is None:
            self._put(leaf, (), None)
            return
        path = leaf.path if leaf else self._new_path(word)
        self._put(leaf, path, self._value(path, word, value, self._before(leaf)))

    def put_at(self, path: Path, text: bytes | None) -> None:
        """DocumentChange the text at a path of the first document, or take it away. Raises ManifestError."""
        leaf = next((leaf for leaf in self._document.leaves if leaf.path == path and _is_of_first(leaf)), None)
        self._put(leaf, path, None if text is None else Value("str", text))

    def _put(self, leaf: Leaf | None, path: Path, value: Value | None) -> None:
        """Have that value at a path, where a leaf may stand already."""
        if value is not None:
            self._changed[path] = value
            if not leaf:
                self._added.add(path)
                self._restructure(self._document.add(path, value), 1)
        elif leaf:
            self._restructure(self._document.remove(leaf), -1)
            self._changed.pop(leaf.path, None)

    def _before(self, leaf: Leaf | None) -> Value:
        """What a leaf holds; an empty text where there is none."""
        return self._known.get(leaf.value.text, leaf.value) if leaf else Value("str", b"")

    def outline(self) -> tuple[Document, Mapping[Path, Value]]:
        """The file with its leaves in place, and what is to come where."""
        return self._document, self._changed

    def _value(self, path: Path, word: str, data: bytes, before: Value) -> Value:
        """The value for a leaf: base64 for an entry's name under `data`, else a text, or of the kind that was there."""
        if path[-2:-1] == ("data",) and path != parsed(word):
            return Value("str", b64encode(data))
        try:
            text = data.decode()
        except UnicodeDecodeError:
            if self._document.kind in ("dotenv", "binary"):
                return Value("str", data)
            raise UsageError(f"the value for {word} is not UTF-8 text, which such a file can't hold") from None
        if before.kind not in ("str", "null", "bytes"):
            typed = plain(text) if text and "\n" not in text else None
            if typed and typed.kind == before.kind:
                return typed
        return Value("str", data)

    def _new_path(self, word: str) -> Path:
        """The path of a new value: in a Secret, a bare word is the name of an entry. Raises UsageError."""
        path = parsed(word)
        if not path or path[0] == MEMBER:
            raise UsageError(f"{word}: no path", hint='write it as db.hosts[0], or as ["db"]["hosts"][0]')
        tops = {leaf.path[0] for leaf in self._document.leaves if leaf.path and not leaf.unit}
        is_secret = any(leaf.path == ("kind",) and leaf.value.text == b"Secret" for leaf in self._document.leaves)
        if len(path) == 1 and is_secret and path[0] not in tops:
            return ("data" if "data" in tops and "stringData" not in tops else "stringData", *path)
        return path

    def _restructure(self, edits: Iterable[Edit], more: int) -> None:
        """Read the document again with a leaf more, or one less. Raises ManifestError where others went with it."""
        document = kinds.read(self._document.kind, apply(self._document.data, edits), MEMBER)
        if _count(document) != _count(self._document) + more:
            raise ManifestError("the file would hold other values than it should", hint="edit it with sops")
        self._document = document

    def document_and_values(self) -> tuple[Document, list[Value]]:
        """The file with its leaves in place, and what all of them hold."""
        values, _ = self._now_and_before()
        return self._document, values

    def _now_and_before(self) -> tuple[list[Value], list[Value]]:
        before = list(map(self._before, self._document.leaves))
        values = list(before)
        at = {leaf.path: number for number, leaf in enumerate(self._document.leaves) if _is_of_first(leaf)}
        for path, value in self._changed.items():
            if path not in at:
                raise ManifestError(f"{named(path)} has no place there", hint="add it with sops")
            values[at[path]] = value
            if path in self._added:
                before[at[path]] = ADDED
        return values, before

    def sealed(self, now: str) -> bytes:
        """The file, sealed, and proven."""
        values, before = self._now_and_before()
        opened = sealing.Opened(self._opened.metadata, self._opened.dek, before, [])
        plan = Plan(opened.dek, opened.metadata.changed(), now, opened)
        return _proven(self._document.kind, sealing.seal_document(self._document, values, plan), opened.dek, values)


def _is_of_first(leaf: Leaf) -> bool:
    return not leaf.unit and leaf.value.kind != "comment"


def _count(document: Document) -> int:
    return sum(leaf.value.kind != "comment" for leaf in document.leaves)


def sealed_anew(
    tree: SealedTree,
    opened: Opened,
    entries: Sequence[KeyEntry],
    now: str,
    keyring: Keyring,
    *,
    division: Division | None = None,
) -> bytes:
    """Return the file with these values under a new data key, wrapped under all of these keys, and proven.

    `division`: None as it was divided.
    """
    dek = urandom(32)
    fields = lists(tree.metadata, wrapped(division or tree.metadata, entries, dek, now, keyring), division)
    plan = Plan(dek, fields, now)
    return _proven(tree.document.kind, sealing.seal_document(tree.document, opened.values, plan), dek, opened.values)


def _with_entries(
    tree: SealedTree, opened: Opened, entries: Sequence[KeyEntry], division: Division | None = None
) -> bytes:
    """With other keys and nothing else. `division`: None as it was divided."""
    edits = tree.document.set_member(lists(tree.metadata, entries, division))
    return _proven(tree.document.kind, apply(tree.document.data, edits), opened.dek, opened.values)


def _proven(kind: str, data: bytes, dek: bytes, values: Sequence[Value]) -> bytes:
    """The file, once it was opened again and held these values. Raises ManifestError."""
    proven(kind, data, dek, values)
    return data


def proven(kind: str, data: bytes, dek: bytes, values: Sequence[Value]) -> Opened:
    """Return a file opened that was sealed just now. Raises ManifestError unless it holds these values."""
    document = kinds.read(kind, data, MEMBER)
    member = document.member()
    assert member
    assert isinstance(member.tree, dict)
    opened = sealing.open_document(document, Metadata(member.tree, member.line), dek)
    if not sealing.same(opened.values, values):
        raise ManifestError("the file would not hold the same values once sealed", hint="simplify its layout")
    return opened
