"""A file that SOPS's format seals, as a person edits it: all of it in the clear, and back.

What stayed the same keeps its bytes, tokens and all; what is new is sealed as the file's own rule has it.
"""

from __future__ import annotations

from collections import Counter

from secretsvc.document import kinds
from secretsvc.document.base import Value, apply
from secretsvc.errors import InputError, ManifestError, UsageError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import aad_of, is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.selection import Selection
from secretsvc.operations import Result
from secretsvc.operations.documents import SealedTree, open_sealed, restored
from secretsvc.operations.documents.changes import ADDED, proven, sealed_anew, trusting
from secretsvc.operations.documents.slips import refuse_repeated
from secretsvc.operations.tokens_back import with_tokens
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretsvc.document.base import Document, Leaf
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request


class DocumentDraft(Record):
    """A sealed file, opened for somebody to edit."""

    tree: SealedTree
    opened: Opened
    shown: bytes
    """What the editor gets: the file in the clear, without the format's member."""

    def __repr__(self) -> str:
        return "DocumentDraft(masked)"


class _Halfway(Record):
    """What was typed, with the tokens of what stayed the same in it again."""

    document: Document
    values: list[Value]
    """What its leaves are to hold."""
    before: list[Value]
    """What they held so far: the same where nothing needs to be sealed."""

    def __repr__(self) -> str:
        return "_Halfway(masked)"


def open_draft(tree: SealedTree, request: Request, keyring: Keyring) -> DocumentDraft:
    """Open the file. Raises UsageError for what only `keys` does, and what opening raises."""
    if any(request.change):
        what = "whom a file in SOPS's format is sealed to does not change while it is edited"
        raise UsageError(what, hint="ksecret keys add and keys remove change it")
    opened = open_sealed(tree, keyring, trusting(tree, request))
    return DocumentDraft(tree, opened, restored(tree, opened))


def seal_document_draft(draft: DocumentDraft, edited: bytes, request: Request, keyring: Keyring) -> Result:
    """Return the edited text sealed under the same data key, or a new one where the request finds it too old.

    Raises ManifestError, InputError, RepeatedError, with lines of `edited`, and what wrapping raises.
    """
    typed = _typed(draft.tree.document.kind, edited)
    if not request.allow_repeated:
        refuse_repeated(draft.tree, draft.opened, draft.shown, typed)
    half = _Tokens(draft).back_in(typed)
    try:
        return Result(_sealed(draft, half, request, keyring), 1)
    except ManifestError as error:
        pairs = zip(half.document.leaves, typed.leaves, strict=False)
        error.line = next((shown.line for leaf, shown in pairs if leaf.line == error.line), 0)
        raise


def _typed(kind: str, edited: bytes) -> Document:
    """Read what was typed. Raises ManifestError for what is no such file, or has in it what is sealing's to write."""
    document = kinds.read(kind, edited, MEMBER)
    if document.member() is not None or getattr(document, "has_member", False):
        what = f"a member {MEMBER} stands in it, which the sealed file has of its own"
        raise ManifestError(what, hint="give yours another name")
    for leaf in document.leaves:
        if is_token(leaf.value.text):
            what = f"{sealing.named(leaf.path)} is a token of SOPS's"
            raise ManifestError(what, hint="put the clear value there", line=leaf.line)
    if all(leaf.value.kind == "comment" for leaf in document.leaves):
        raise InputError("no value is left, so nothing is written", hint="delete the file itself")
    return document


def _sealed(draft: DocumentDraft, half: _Halfway, request: Request, keyring: Keyring) -> bytes:
    metadata, dek, document = draft.tree.metadata, draft.opened.dek, half.document
    if request.rotates(metadata.created):
        opened = sealing.Opened(metadata, dek, half.values, [])
        return sealed_anew(SealedTree(document, metadata), opened, metadata.entries, request.created, keyring)
    made = b""
    for before in (half.before, _without_comments(half.before)):
        plan = sealing.Plan(dek, metadata.changed(), request.created, sealing.Opened(metadata, dek, before, []))
        made = sealing.seal_document(document, half.values, plan)
        opened = proven(document.kind, made, dek, half.values)
        if _comments(opened.values) == _comments(half.values):
            break  # else one was moved to where its token does not open: all get new ones
    return made


def _without_comments(before: Sequence[Value]) -> list[Value]:
    return [ADDED if value.kind == "comment" else value for value in before]


def _comments(values: Sequence[Value]) -> list[Value]:
    return [value for value in values if value.kind == "comment"]


class _Tokens:
    """The tokens of a draft's file, put back into what somebody made of its text."""

    def __init__(self, draft: DocumentDraft) -> None:
        self._draft = draft
        self._sealed = draft.tree.document
        pairs = zip(self._sealed.leaves, draft.opened.values, strict=True)
        self._known = {
            leaf.value.text: (value, aad_of(leaf.path)) for leaf, value in pairs if is_token(leaf.value.text)
        }
        """Token → what it holds, and what it is bound to."""

    def back_in(self, typed: Document) -> _Halfway:
        """Return it, with a token wherever one may stay."""
        if self._sealed.kind == "binary":  # sealed it is JSON around the one value
            return _Halfway(self._sealed, [typed.leaves[0].value], list(self._draft.opened.values))
        document = self._with_moved(self._with_unchanged(typed))
        in_clear = Counter(_place(leaf) for leaf in self._sealed.leaves if not is_token(leaf.value.text))
        values, before = [], []
        for leaf in document.leaves:
            value = self._value(leaf)
            if is_token(leaf.value.text):
                stays = self._known[leaf.value.text][1] == aad_of(leaf.path)
            else:  # a comment that was in the clear stays so, as whoever wrote it left it
                stays = value.kind == "comment" and in_clear[_place(leaf)] > 0
                in_clear[_place(leaf)] -= stays
            values.append(value)
            before.append(value if stays else ADDED)
        return _Halfway(document, values, before)

    def _with_unchanged(self, typed: Document) -> Document:
        """Put the sealed text of what stayed the same back, as far as all still means what was typed."""
        edits = sealing.restoring(self._sealed, self._draft.opened)
        meant = _meaning((leaf, leaf.value) for leaf in typed.leaves)
        for text in with_tokens(self._sealed.data, edits, self._draft.shown, typed.data):
            try:
                document = kinds.read(typed.kind, text, MEMBER)
                document.member()  # which may stand there twice now
            except ManifestError:
                continue
            if _meaning(self._as_shown(leaf) for leaf in document.leaves) == meant:
                return document
        return typed

    def _as_shown(self, leaf: Leaf) -> tuple[Leaf, Value]:
        """A leaf, and its value as it is read again once it was written in the clear."""
        value = self._value(leaf)
        if self._sealed.kind in kinds.TEXTS_ONLY:
            from secretsvc.document.texts import as_read

            value = as_read(value)
        return leaf, value

    def _value(self, leaf: Leaf) -> Value:
        known = self._known.get(leaf.value.text)
        return known[0] if known else leaf.value

    def _with_moved(self, document: Document) -> Document:
        """Give clear leaves the tokens that stand nowhere now, and that are bound to the same and hold the same."""
        there = {leaf.value.text for leaf in document.leaves}
        free: dict[tuple[bytes, Value], list[bytes]] = {}
        for token, (value, aad) in self._known.items():
            if token not in there:
                free.setdefault((aad, value), []).append(token)
        selection = Selection(*self._draft.tree.metadata.rule)
        edits = []
        for leaf in document.leaves:
            is_due = selection.selects(leaf)
            tokens = free.get((aad_of(leaf.path), leaf.value))
            if is_due and tokens:
                edits += document.spell(leaf, tokens.pop(0))
        return kinds.read(document.kind, apply(document.data, edits), MEMBER) if edits else document


def _place(leaf: Leaf) -> tuple[int, bytes, Value]:
    return leaf.unit, aad_of(leaf.path), leaf.value


_SHOWN_ALIKE = {"float": "int", "bytes": "str"}
"""Kinds that are the same once they are written and read again: 1.0 is written as 1."""


def _meaning(pairs: Iterable[tuple[Leaf, Value]]) -> list[tuple[int, bytes, str, bytes]]:
    """Return what a document says, in its order; where a comment belongs hangs on what stands around it."""
    return [(leaf.unit, b"" if value.kind == "comment" else aad_of(leaf.path), *_shown(value)) for leaf, value in pairs]


def _shown(value: Value) -> tuple[str, bytes]:
    return _SHOWN_ALIKE.get(value.kind, value.kind), value.text
