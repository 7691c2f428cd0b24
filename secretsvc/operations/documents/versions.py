"""The three versions of a file that are merged: read one after the other, opened where a key is at hand."""

from __future__ import annotations

from secretsvc.errors import KsecretError
from secretsvc.formats.merge import UnmergeableError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.merge import RULE, Versions, name_of, same_data_key
from secretsvc.operations import documents
from secretsvc.operations.documents.marks import Marked, Marks
from secretsvc.operations.documents.places import Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.formats.sops.merge import Name
    from secretsvc.formats.sops.metadata import Metadata
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring


class NotOpenedError(Exception):
    """A side does not open, and the merge goes on without a key; the text is why."""


class Version:
    """One of the three: what it says of itself, and its text with marks."""

    def __init__(self, marks: Marks, tree: SealedTree, opened: Opened | None) -> None:
        self.metadata = tree.metadata
        self.dek = opened.dek if opened else b""
        """Empty where it is not opened."""
        self.marked = Marked(marks, tree, opened.values if opened else None)
        self.content = b""
        """Of a side, a digest of what its MAC covers."""

    @property
    def names(self) -> set[Name]:
        """What tells its keys from others."""
        return set(map(name_of, self.metadata.entries))

    def shares_data_key(self, other: Version) -> bool:
        """Tell whether both have one data key, as far as can be told."""
        if self.dek and other.dek:
            return self.dek == other.dek
        return same_data_key(self.metadata, other.metadata)

    def proves(self, content: bytes, fields: Metadata) -> bool:
        """Tell whether its MAC is over just that, by the rule that the fields have."""
        same_rule = all(self.metadata.tree.get(name) == fields.tree.get(name) for name in RULE)
        return same_rule and content == self.content


class Three:
    """The three. Only one tree is in memory at a time."""

    def __init__(self, texts: Sequence[bytes], name: str, marks: Marks, keyring: Keyring | None) -> None:
        """`texts`: base, ours, theirs; `keyring`: None where no key is at hand.

        Raises NotOpenedError, UnmergeableError, with nothing to tell for what are no such files, and KsecretError.
        """
        self.places = Places(marks)
        self.kind = ""
        self._name = name
        self._marks = marks
        self._keyring = keyring
        self._read: list[Version] = []
        base, ours, theirs = texts
        self.ours = self._side(ours)
        self.theirs = self._side(theirs)
        self.base = self._base(base)
        self._forget_values()
        self.metadata = Versions(self.base.metadata, self.ours.metadata, self.theirs.metadata)

    @property
    def all(self) -> tuple[Version, Version, Version]:
        """Ours first, the base last."""
        return (self.ours, self.theirs, self.base)

    def _tree(self, data: bytes) -> SealedTree:
        tree = documents.find(data, self._name)
        if not tree:
            raise UnmergeableError
        if self.kind not in ("", tree.document.kind):
            raise UnmergeableError("the three are files of different kinds")
        self.kind = tree.document.kind
        return tree

    def _side(self, data: bytes) -> Version:
        """A side, which must open, its MAC too, where a key is at hand."""
        tree = self._tree(data)
        opened = None
        if self._keyring:
            try:
                opened = sealing.open_document(tree.document, tree.metadata, self._data_key(tree.metadata))
            except (KsecretError, ValueError) as error:
                raise NotOpenedError(str(error)) from error
        self.places.add(tree.document)
        version = self._known(tree, opened)
        version.content = self.places.content_of(tree.document, only_sealed=tree.metadata.mac_only_encrypted)
        return version

    def _base(self, data: bytes) -> Version:
        """What both come from, which need not open."""
        tree = self._tree(data)
        opened = None
        if self._keyring:
            try:
                dek = self._data_key(tree.metadata)
                opened = sealing.open_document(tree.document, tree.metadata, dek, lambda _: True)
            except (KsecretError, ValueError):
                opened = None
        return self._known(tree, opened)

    def _forget_values(self) -> None:
        """Keep values only where some are to be sealed anew, under the other side's data key."""
        self.base.marked.values.clear()
        if self.ours.dek == self.theirs.dek:
            self.ours.marked.values.clear()
            self.theirs.marked.values.clear()

    def _known(self, tree: SealedTree, opened: Opened | None) -> Version:
        version = Version(self._marks, tree, opened)
        self._read.append(version)
        return version

    def _data_key(self, metadata: Metadata) -> bytes:
        """A version's data key; no key is used twice for one that is known."""
        known = (one.dek for one in self._read if one.dek and same_data_key(one.metadata, metadata))
        assert self._keyring
        return next(known, b"") or documents.data_key(metadata, self._keyring)
