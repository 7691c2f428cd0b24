"""Three versions of a file that SOPS's format seals → one: value by value, keys as a set, all else line by line.

Git merges lines in which marks stand for values (`marks`), so lists, documents, comments and what is in the
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
from secretsvc.formats.sops.merge import PROOF, name_of
from secretsvc.formats.sops.metadata import MEMBER, Metadata
from secretsvc.operations import documents
from secretsvc.operations.documents.changes import proven
from secretsvc.operations.documents.hunks import united
from secretsvc.operations.documents.marks import TWO_DATA_KEYS, Marks, Tokens
from secretsvc.operations.documents.shares import lists, wrapped
from secretsvc.operations.documents.versions import NotOpenedError, Three, Version
from secretsvc.operations.merge import Outcome, merge_manifests
from secretsvc.programs.git import Hunk
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal, TypeAlias

    from secretsvc.document.base import Tree
    from secretsvc.formats.sops.metadata import KeyEntry
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
    """Gives what opens and seals; where nothing opens by it, the merge goes on without a key."""
    now: str
    """The time to state: UTC, RFC 3339, seconds."""


def merge_files(base: bytes, ours: bytes, theirs: bytes, name: str, tools: Tools) -> Outcome:
    """Return the merged file, whatever the three are: `merge_manifests` has those that are no files of SOPS's.

    `name`: the file's, whose end says of which kind it is.
    """
    versions = (base, ours, theirs)
    why = ""
    if all(map(documents.may_be_one, versions)):
        outcome, why = _tried(versions, name, tools)
        if not outcome or outcome.conflicts:
            outcome = _in_one_layout(versions, name, tools, outcome)
        if outcome:
            return outcome
    outcome = merge_manifests(base, ours, theirs, name, tools.lines)
    if why:
        outcome.conflicts.append(f"merged line by line, not value by value: {why}")
    elif not outcome.conflicts and outcome.data not in (ours, theirs) and documents.may_be_one(outcome.data):
        outcome.conflicts.append("merged line by line: ksecret verify tells whether it opens")
    return outcome


def _tried(versions: Sequence[bytes], name: str, tools: Tools) -> tuple[Outcome | None, str]:
    """The outcome; None, and why, where the versions can't be merged value by value."""
    try:
        return _merged(versions, name, tools), ""
    except (KsecretError, UnmergeableError, ValueError) as error:
        return None, str(error)


def _in_one_layout(versions: Sequence[bytes], name: str, tools: Tools, first: Outcome | None) -> Outcome | None:
    """The outcome with less in conflict: as it was, or in the layout that sops has given a side."""
    from secretsvc.operations.documents.layout import in_layout_of_sops

    laid_out = in_layout_of_sops(versions, name)
    second = _tried(laid_out, name, tools)[0] if laid_out else None
    if not first or not second:
        return first or second
    return min(first, second, key=lambda outcome: outcome.data.count(b"<<<<<<<"))


def _merged(texts: Sequence[bytes], name: str, tools: Tools) -> Outcome:
    """Raises UnmergeableError, with nothing to tell for what are no such files; KsecretError, ValueError."""
    try:
        return _Merge(texts, name, tools, tools.keyring()).outcome()
    except (KsecretError, NotOpenedError) as error:
        why = str(error)  # what it has of the first try goes with it
    return _Merge(texts, name, tools, None, why).outcome()


class _Merge:
    """The merge of one file."""

    def __init__(self, texts: Sequence[bytes], name: str, tools: Tools, keyring: Keyring | None, why: str = "") -> None:
        """`why`: no keyring is given. Raises as `Three`."""
        self._name = quote(name) if name.isprintable() else "FILE"
        self._tools = tools
        self._keyring = keyring
        self._why = why
        self._marks = Marks()
        self._three = Three(texts, name, self._marks, keyring)
        self._fields = merge.merge_fields(self._three.metadata)

    def outcome(self) -> Outcome:
        """Merge. Raises UnmergeableError, KsecretError, ValueError where it can't be done value by value."""
        member, dek, homes = self._keys()
        tokens = Tokens(dek)
        for version in homes:
            tokens.add(version.marked)
        if len(homes) < len(self._three.all):
            for version in self._three.all:
                tokens.add_values(version.marked)
        pieces, content = self._united(self._pieces(member))
        if not any(isinstance(piece, Hunk) for piece in pieces):
            done = self._done(self._rendered(pieces, "ours"), content, tokens, dek)
            if done:
                return Outcome(done, [])
        return self._undone(pieces, tokens)

    def _keys(self) -> tuple[dict[str, Tree], bytes, list[Version]]:
        """The member with the keys of the result, its data key where one is at hand, and the versions that have it."""
        ours, theirs = self._three.ours, self._three.theirs
        if ours.shares_data_key(theirs):
            homes = [one for one in self._three.all if one.shares_data_key(ours)]
            return self._joined_keys(), ours.dek, homes
        if not self._keyring:
            home = self._home_without_key()
            return merge.with_keys_of(self._fields, home.metadata), b"", [home]
        return self._keys_of_two(self._keyring)

    def _joined_keys(self) -> dict[str, Tree]:
        """The keys of both sides, which have one data key."""
        side = merge.side_of_keys(self._three.metadata)
        if side:
            return merge.with_keys_of(self._fields, side)
        entries = merge.merge_entries(self._three.metadata)
        if self._fields.groups == 1:
            return lists(self._fields, entries)
        if not self._keyring:
            raise UnmergeableError("both sides changed keys, and its data key is split among groups of them")
        return lists(self._fields, self._wrapped(entries, self._three.ours.dek, self._keyring))

    def _wrapped(self, entries: Sequence[KeyEntry], dek: bytes, keyring: Keyring) -> list[KeyEntry]:
        """The data key wrapped anew, for keys that the base had too. Raises UnmergeableError for others.

        Whoever can write a file can write a key into its list: no merge hands them what they could not open.
        """
        added = {name_of(entry) for entry in entries} - self._three.base.names
        if added:
            ref = next(str(entry.key.ref) for entry in entries if name_of(entry) in added)
            raise UnmergeableError(f"{ref} was added, under another data key; take a side, then ksecret keys add")
        return wrapped(self._fields, entries, dek, self._tools.now, keyring)

    def _home_without_key(self) -> Version:
        """The side with the new data key, where the other side has changed no keys."""
        ours, theirs, base = self._three.all
        is_old = [side.shares_data_key(base) for side in (ours, theirs)]
        home, other = (theirs, ours) if is_old[0] else (ours, theirs)
        if is_old[0] == is_old[1] or not merge.same_keys(other.metadata, base.metadata):
            raise UnmergeableError(TWO_DATA_KEYS)
        return home

    def _keys_of_two(self, keyring: Keyring) -> tuple[dict[str, Tree], bytes, list[Version]]:
        """The keys where the sides have different data keys: of one that nobody can know whom a side took away."""
        entries = merge.merge_entries(self._three.metadata)
        names = [name_of(entry) for entry in entries]
        ours, theirs, base = self._three.all
        safe = [side for side in (ours, theirs) if side.names <= set(names)]
        safe.sort(key=lambda side: side.shares_data_key(base))  # a new one first
        dek = safe[0].dek if safe else urandom(32)
        own = {name_of(entry): entry for entry in safe[0].metadata.entries} if safe else {}
        if self._fields.groups > 1 and set(own) != set(names):
            own = {}  # a data key that is split is split for all groups at once
        lacking = [entry for entry in entries if name_of(entry) not in own]
        own |= {name_of(entry): entry for entry in self._wrapped(lacking, dek, keyring)}
        homes = [one for one in self._three.all if one.dek == dek]
        return lists(self._fields, [own[name] for name in names]), dek, homes

    def _pieces(self, member: dict[str, Tree]) -> Pieces:
        """What Git makes of the lines."""
        ours, theirs, base = (version.marked.apart(member) for version in self._three.all)
        pieces = self._tools.hunks(base, ours, theirs)
        if pieces is None:
            raise UnmergeableError("Git takes it for no text")
        return pieces

    def _united(self, pieces: Pieces) -> tuple[Pieces, bytes]:
        """The pieces with what both sides did to values that stand side by side, ours first where that can be.

        And a digest of what it all holds, as ours has it where the two disagree.
        """
        ways = [pieces]
        for theirs_first in (True, False):
            way = [self._as_one(piece, theirs_first=theirs_first) for piece in pieces]
            if way != pieces:
                ways.insert(0, way)
        for way in ways:
            picks: Sequence[Pick] = ("ours", "theirs") if any(isinstance(piece, Hunk) for piece in way) else ("ours",)
            contents = [self._three.places.content(self._rendered(way, pick), self._fields) for pick in picks]
            if contents[0] and all(contents):
                return way, contents[0]
        raise UnmergeableError("values would stand where they don't open")

    def _as_one(self, piece: bytes | Hunk, *, theirs_first: bool) -> bytes | Hunk:
        made = united(piece, self._marks, theirs_first=theirs_first) if isinstance(piece, Hunk) else None
        return piece if made is None else made

    def _rendered(self, pieces: Pieces, pick: Pick) -> bytes:
        """The text with marks, as that version has it where they disagree."""
        return self._marks.joined(
            b"".join(getattr(piece, pick) if isinstance(piece, Hunk) else piece for piece in pieces)
        )

    def _done(self, text: bytes, content: bytes, tokens: Tokens, dek: bytes) -> bytes | None:
        """The file, where a MAC that fits can be had: of the side whose values are all there are, else a new one."""
        for side in (self._three.ours, self._three.theirs):
            if side.proves(content, self._fields) and side.dek == dek:
                return self._marks.filled(text, tokens, _proof(side.metadata))
        if not dek:
            return None
        return self._sealed(self._marks.filled(text, tokens, _proof(self._three.ours.metadata)), dek)

    def _sealed(self, data: bytes, dek: bytes) -> bytes:
        """The file with a MAC of its own. Raises AlteredError, ManifestError."""
        document = kinds.read(self._three.kind, data, MEMBER)
        member = document.member()
        assert member
        assert isinstance(member.tree, dict)
        metadata = Metadata(member.tree, member.line)
        opened = sealing.open_document(document, metadata, dek, lambda _: True)
        plan = sealing.Plan(dek, metadata.changed(), self._tools.now, opened)
        made = sealing.seal_document(document, opened.values, plan)
        values = opened.values
        del document, member, opened, plan  # the proof reads another tree
        proven(self._three.kind, made, dek, values)
        return made

    def _undone(self, pieces: Pieces, tokens: Tokens) -> Outcome:
        """The file with what is left to a person between Git's marks: values that both changed, and the MAC."""
        ours, theirs, base = self._three.all
        texts = {}
        picks: tuple[tuple[Pick, Version], ...] = (("ours", ours), ("theirs", theirs), ("base", base))
        for pick, version in picks:
            if pick == "base":
                tokens.add(base.marked)  # which stand between marks only, if at all
            texts[pick] = self._marks.filled(self._rendered(pieces, pick), tokens, _proof(version.metadata))
        merged = self._tools.lines(texts["base"], texts["ours"], texts["theirs"])
        if merged.conflicts < 1:
            raise UnmergeableError("a side's MAC does not fit")
        hunks = sum(isinstance(piece, Hunk) for piece in pieces)
        told = [f"{hunks} marked with <<<<<<<"] if hunks else []
        why = "is to be made once that is settled" if self._keyring else f"can't be made: {self._why}"
        return Outcome(merged.data, [*told, f"its MAC {why}; ksecret verify --mend {self._name} makes it"])


def _proof(metadata: Metadata) -> dict[str, Tree]:
    return {name: metadata.tree[name] for name in PROOF}
