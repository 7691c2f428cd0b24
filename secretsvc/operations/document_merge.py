"""Three versions of a file that SOPS's format seals → one: value by value, keys as a set, all else line by line.

Git merges lines in which marks stand for values (`document_marks`), so lists, documents, comments and what is in the
clear come out as Git has them. With a key at hand the result is sealed under one data key, and gets a MAC; without one
it has a side's MAC where that side's values are all there are, else both, in conflict.
"""

from __future__ import annotations

from os import urandom
from shlex import quote

from secretsvc.document import kinds
from secretsvc.errors import KsecretError
from secretsvc.formats.merge import UnmergeableError
from secretsvc.formats.sops import merge, sealing
from secretsvc.formats.sops.merge import PROOF, RULE, name_of, same_data_key
from secretsvc.formats.sops.metadata import MEMBER, Metadata
from secretsvc.operations import documents
from secretsvc.operations.document_changes import proven
from secretsvc.operations.document_keys import lists, wrapped
from secretsvc.operations.document_marks import TWO_DATA_KEYS, Marked, Marks, Tokens
from secretsvc.operations.document_places import Places
from secretsvc.operations.merge import Outcome, merge_manifests
from secretsvc.programs.git import Hunk
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal, TypeAlias

    from secretsvc.document.base import Document, Tree, Value
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.merge import LineMerge

    Pieces: TypeAlias = list[bytes | Hunk]
    HunkMerge = Callable[[bytes, bytes, bytes], Pieces | None]
    """Base, ours, theirs → Git's own merge of them, with what they disagree on apart."""
    Pick: TypeAlias = Literal["ours", "base", "theirs"]


class Tools(Record):
    """What a merge makes use of."""

    lines: LineMerge
    hunks: HunkMerge
    keyring: Callable[[], Keyring]
    """Whatever it fails by, the merge goes on without a key."""
    now: str
    """The time to state: UTC, RFC 3339, seconds."""


def merge_files(base: bytes, ours: bytes, theirs: bytes, name: str, tools: Tools) -> Outcome:
    """Return the merged file, whatever the three are: `merge_manifests` has those that are no files of SOPS's.

    `name`: the file's, whose end says of which kind it is.
    """
    versions = (base, ours, theirs)
    why = ""
    if all(map(documents.may_be_one, versions)):
        try:
            return _merged(versions, name, tools)
        except (KsecretError, UnmergeableError, ValueError) as error:
            why = str(error)
    outcome = merge_manifests(base, ours, theirs, name, tools.lines)
    if why:
        outcome.conflicts.append(f"merged line by line, not value by value: {why}")
    elif not outcome.conflicts and outcome.data not in (ours, theirs) and documents.may_be_one(outcome.data):
        outcome.conflicts.append("merged line by line: ksecret verify tells whether it opens")
    return outcome


def _merged(versions: Sequence[bytes], name: str, tools: Tools) -> Outcome:
    """Raises UnmergeableError, with nothing to tell for what are no such files; KsecretError, ValueError."""
    trees = [documents.find(data, name) for data in versions]
    found = [tree for tree in trees if tree]
    if len(found) < len(trees):
        raise UnmergeableError
    if len({tree.document.kind for tree in found}) > 1:
        raise UnmergeableError("the three are files of different kinds")
    return _Merge(found, name, tools).outcome()


class _Version:
    """One of the three: what it says, and, where a key is at hand, what it holds."""

    def __init__(self, tree: SealedTree) -> None:
        self.document: Document = tree.document
        self.metadata = tree.metadata
        self.dek = b""
        self.values: Sequence[Value] | None = None

    def open(self, dek: bytes, *, is_side: bool) -> None:
        """Check a side as ever; of what both come from the MAC may not fit. Raises AlteredError, InputError."""
        trust = None if is_side else lambda _: True
        self.values = sealing.open_document(self.document, self.metadata, dek, trust).values
        self.dek = dek

    def close(self) -> None:
        """Forget what it holds."""
        self.dek, self.values = b"", None

    @property
    def names(self) -> set[merge.Name]:
        """What tells its keys from others."""
        return set(map(name_of, self.metadata.entries))

    def shares_data_key(self, other: _Version) -> bool:
        """Tell whether both have one data key, as far as can be told."""
        if self.dek and other.dek:
            return self.dek == other.dek
        return same_data_key(self.metadata, other.metadata)


class _Merge:
    """The merge of one file."""

    def __init__(self, trees: Sequence[SealedTree], name: str, tools: Tools) -> None:
        self._name = quote(name) if name.isprintable() else "FILE"
        self._tools = tools
        self._versions = self._base, self._ours, self._theirs = tuple(map(_Version, trees))
        self._members = merge.Versions(*(one.metadata for one in self._versions))
        self._kind = self._ours.document.kind
        self._marks = Marks()
        self._places = Places(self._marks, [self._ours.document, self._theirs.document])
        self._why = "no key is at hand"
        """Why nothing is sealed anew."""

    def outcome(self) -> Outcome:
        """Merge. Raises UnmergeableError, KsecretError, ValueError where it can't be done value by value."""
        self._open()
        self._fields = merge.merge_fields(self._members)
        member, dek, homes = self._keys()
        marked = self._marked()
        tokens = Tokens(dek)
        for version in homes:
            tokens.add(marked[self._versions.index(version)].tokens)
        if dek:
            for one in marked:
                tokens.add_values(one.values)
        texts = [self._marks.apart(one.text(member)) for one in marked]
        pieces = self._tools.hunks(*texts)
        if pieces is None:
            raise UnmergeableError("Git takes it for no text")
        pieces = self._united(pieces)
        if not any(isinstance(piece, Hunk) for piece in pieces):
            done = self._done(self._rendered(pieces, "ours"), marked, tokens, dek)
            if done:
                return Outcome(done, [])
        return self._undone(pieces, tokens, marked[0].tokens)

    def _open(self) -> None:
        """Open all three, or none of them; but the base need not open."""
        try:
            keyring = self._tools.keyring()
            for version in (self._ours, self._theirs):
                version.open(self._data_key(version, keyring), is_side=True)
        except (KsecretError, ValueError) as error:
            self._why = getattr(error, "message", self._why)
            self._ours.close()
            self._theirs.close()
            return
        try:
            self._base.open(self._data_key(self._base, keyring), is_side=False)
        except (KsecretError, ValueError):
            self._base.close()

    def _data_key(self, version: _Version, keyring: Keyring) -> bytes:
        """A version's data key; no key is used twice for one that is known."""
        known = (one for one in self._versions if one.dek and same_data_key(one.metadata, version.metadata))
        found = next(known, None)
        return found.dek if found else documents.data_key(version.metadata, keyring)

    def _keys(self) -> tuple[dict[str, Tree], bytes, list[_Version]]:
        """The member with the keys of the result, its data key where one is at hand, and the versions that have it."""
        if self._ours.shares_data_key(self._theirs):
            member = self._joined_keys()
            return member, self._ours.dek, [one for one in self._sides if one.shares_data_key(self._ours)]
        if not self._ours.dek:
            home = self._home_without_key()
            return merge.with_keys_of(self._fields, home.metadata), b"", [home]
        return self._keys_of_two()

    @property
    def _sides(self) -> tuple[_Version, ...]:
        """Ours first, the base last."""
        return (self._ours, self._theirs, self._base)

    def _joined_keys(self) -> dict[str, Tree]:
        """The keys of both sides, which have one data key."""
        side = merge.side_of_keys(self._members)
        if side:
            return merge.with_keys_of(self._fields, side)
        entries = merge.merge_entries(self._members)
        if self._fields.groups == 1:
            return lists(self._fields, entries)
        if not self._ours.dek:
            raise UnmergeableError("both sides changed keys, and its data key is split among groups of them")
        keyring, now = self._tools.keyring(), self._tools.now
        return lists(self._fields, wrapped(self._fields, entries, self._ours.dek, now, keyring))

    def _home_without_key(self) -> _Version:
        """The side with the new data key, where the other side has changed no keys."""
        is_old = [side.shares_data_key(self._base) for side in (self._ours, self._theirs)]
        home, other = (self._theirs, self._ours) if is_old[0] else (self._ours, self._theirs)
        if is_old[0] == is_old[1] or not merge.same_keys(other.metadata, self._base.metadata):
            raise UnmergeableError(TWO_DATA_KEYS)
        return home

    def _keys_of_two(self) -> tuple[dict[str, Tree], bytes, list[_Version]]:
        """The keys where the sides have different data keys: of one that nobody can know whom a side took away."""
        entries = merge.merge_entries(self._members)
        names = [name_of(entry) for entry in entries]
        safe = [side for side in (self._ours, self._theirs) if side.names <= set(names)]
        safe.sort(key=lambda side: side.shares_data_key(self._base))  # a new one first
        dek = safe[0].dek if safe else urandom(32)
        own = {name_of(entry): entry for entry in safe[0].metadata.entries} if safe else {}
        if self._fields.groups > 1 and set(own) != set(names):
            own = {}  # a data key that is split is split for all groups at once
        keyring, now = self._tools.keyring(), self._tools.now
        new = wrapped(self._fields, [entry for entry in entries if name_of(entry) not in own], dek, now, keyring)
        own |= {name_of(entry): entry for entry in new}
        homes = [one for one in self._sides if one.dek == dek]
        return lists(self._fields, [own[name] for name in names]), dek, homes

    def _marked(self) -> list[Marked]:
        """The three with marks; a token of the base that a side has too stands for what it holds there."""
        known: dict[bytes, bytes] = {}
        found = {}
        for version in self._sides:
            one = found[version] = Marked(self._marks, version.document, version.values, known)
            known |= one.names
        return [found[version] for version in self._versions]

    def _united(self, pieces: Pieces) -> Pieces:
        """The pieces with what both sides added to mappings at one place, ours first where that can be."""
        can = {at for at, piece in enumerate(pieces) if isinstance(piece, Hunk) and self._is_both_added(piece)}
        ways: list[Pieces] = [pieces]
        if can:
            for order in ("ours", "theirs"), ("theirs", "ours"):
                made = [
                    b"".join(getattr(piece, side) for side in order) if at in can else piece
                    for at, piece in enumerate(pieces)
                ]
                ways.insert(-1, made)
        for way in ways:
            left = any(isinstance(piece, Hunk) for piece in way)
            picks: Sequence[Pick] = ("ours", "theirs") if left else ("ours",)
            if all(self._places.read(self._rendered(way, pick), self._fields) for pick in picks):
                return way
        raise UnmergeableError("values would stand where they don't open")

    def _is_both_added(self, hunk: Hunk) -> bool:
        ours, theirs = self._marks.members(hunk.ours), self._marks.members(hunk.theirs)
        return not hunk.base and bool(ours and theirs) and ours.isdisjoint(theirs)

    def _rendered(self, pieces: Pieces, pick: Pick) -> bytes:
        """The text with marks, as that version has it where they disagree."""
        return self._marks.joined(
            b"".join(getattr(piece, pick) if isinstance(piece, Hunk) else piece for piece in pieces)
        )

    def _done(self, text: bytes, marked: Sequence[Marked], tokens: Tokens, dek: bytes) -> bytes | None:
        """The file, where a MAC that fits can be had: of the side whose values are all there are, else a new one."""
        for side in (self._ours, self._theirs):
            if self._has_all_of(side, text, marked):
                data = self._marks.filled(text, tokens, _proof(side.metadata))
                if not dek or self._fits(data, dek):
                    return data
        if not dek:
            return None
        data = self._marks.filled(text, tokens, _proof(self._ours.metadata))
        document, metadata = _read(self._kind, data)
        opened = sealing.open_document(document, metadata, dek, lambda _: True)
        plan = sealing.Plan(dek, metadata.changed(), self._tools.now, opened)
        data = sealing.seal_document(document, opened.values, plan)
        proven(self._kind, data, dek, opened.values)
        return data

    def _has_all_of(self, side: _Version, text: bytes, marked: Sequence[Marked]) -> bool:
        """Tell whether a side's MAC is over just these values, and by the same rule."""
        if any(side.metadata.tree.get(name) != self._fields.tree.get(name) for name in RULE):
            return False
        only = self._fields.mac_only_encrypted
        names = marked[self._versions.index(side)].names
        merged = kinds.read(self._kind, text, MEMBER)
        return self._places.content(merged, {}, only_sealed=only) == self._places.content(
            side.document, names, only_sealed=only
        )

    def _fits(self, data: bytes, dek: bytes) -> bool:
        document, metadata = _read(self._kind, data)
        try:
            sealing.open_document(document, metadata, dek)
        except KsecretError:
            return False
        return True

    def _undone(self, pieces: Pieces, tokens: Tokens, of_base: dict[bytes, list[bytes]]) -> Outcome:
        """The file with what is left to a person between Git's marks: values that both changed, and the MAC."""
        sides: list[bytes] = []
        picks: tuple[tuple[Pick, _Version], ...] = (
            ("ours", self._ours),
            ("theirs", self._theirs),
            ("base", self._base),
        )
        for pick, version in picks:
            if pick == "base":
                tokens.add(of_base)  # which stand between marks only, if at all
            sides.append(self._marks.filled(self._rendered(pieces, pick), tokens, _proof(version.metadata)))
        merged = self._tools.lines(sides[2], sides[0], sides[1])
        if merged.conflicts < 1:
            raise UnmergeableError("a side's MAC does not fit")
        hunks = sum(isinstance(piece, Hunk) for piece in pieces)
        told = [f"{hunks} marked with <<<<<<<"] if hunks else []
        why = "is to be made once that is settled" if self._ours.dek else f"can't be made: {self._why}"
        return Outcome(merged.data, [*told, f"its MAC {why}; ksecret verify --mend {self._name} makes it"])


def _proof(metadata: Metadata) -> dict[str, Tree]:
    return {name: metadata.tree[name] for name in PROOF}


def _read(kind: str, data: bytes) -> tuple[Document, Metadata]:
    document = kinds.read(kind, data, MEMBER)
    member = document.member()
    assert member
    assert isinstance(member.tree, dict)
    return document, Metadata(member.tree, member.line)
