"""A value or a whole branch of a SOPS file changed by its path, typed as it is given.

A value is spliced in, so that other lines stay; a branch, and a value that there is no place for, has the file laid out
anew, as sops lays out every file that it writes. Tokens of what did not change stay all the same.
"""

from __future__ import annotations

from secretsvc.document import kinds, trees, writers
from secretsvc.document.base import Value, apply
from secretsvc.errors import InputError, ManifestError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.operations.documents.changes import proven

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from secretsvc.document.base import Document, Edit, Path
    from secretsvc.document.trees import Branch, Tree
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.documents import SealedTree

    Change: TypeAlias = Callable[[Branch], None]

_NEW = Value("", b"")
"""Stands for what a leaf held that was in the clear: what is to be sealed of it, is."""


def put(sealed: SealedTree, opened: Opened, path: Path, tree: Tree, now: str) -> bytes:
    """Return the file with that at a path of its first document, under the same data key. Raises ManifestError."""
    if any(is_token(value.text) for value in _values(tree)):
        raise ManifestError("the value is a token of SOPS's", hint="give the clear value")
    document = sealed.document
    number = _number(document, path)
    if number is not None and isinstance(tree, Value):
        values = [*opened.values[:number], tree, *opened.values[number + 1 :]]
        return _sealed(document, opened, values, opened.values, now)

    def edits() -> list[Edit]:
        if not isinstance(tree, Value):
            raise ManifestError("a branch")
        return document.add(path, tree)

    return _changed(sealed, opened, edits, lambda root: trees.put(root, path, tree), now)


def take(sealed: SealedTree, opened: Opened, path: Path, now: str) -> bytes:
    """Return the file without what is at a path. Raises InputError where nothing is, ManifestError."""
    document = sealed.document
    number = _number(document, path)

    def edits() -> list[Edit]:
        if number is None:
            raise ManifestError("a branch")
        return document.remove(document.leaves[number])

    def change(root: Branch) -> None:
        if not trees.take(root, path):
            raise InputError("there is nothing at that path", hint="ksecret get FILE lists the paths")

    return _changed(sealed, opened, edits, change, now)


def at(sealed: SealedTree, opened: Opened, path: Path) -> Tree | None:
    """Return what stands at a path of the first document; None where nothing does."""
    units = trees.of(sealed.document, opened.values)
    return trees.at(units[0], path) if units else None


def _changed(sealed: SealedTree, opened: Opened, edits: Callable[[], list[Edit]], change: Change, now: str) -> bytes:
    """Splice where that gives the very tree which is wanted, else lay the file out anew."""
    before = sealed.document
    pairs = list(zip(before.leaves, opened.values, strict=True))
    known = {leaf.value.text: value for leaf, value in pairs if is_token(leaf.value.text)}
    wanted = trees.of(before, opened.values)
    if not wanted:
        raise ManifestError("the file has no document")
    change(wanted[0])
    try:
        after = kinds.read(before.kind, apply(before.data, edits()), MEMBER)
        fits = trees.same(trees.of(after, _opened(after, known))[0], wanted[0])
    except ManifestError:
        fits = False
    if not fits:
        if before.kind == "binary":
            raise ManifestError("a file of any bytes has one value, `data`, which is a text")
        tokens = trees.of(before, [leaf.value for leaf in before.leaves])
        change(tokens[0])
        after = kinds.read(before.kind, writers.written(before.kind, tokens), MEMBER)
        if not trees.same(trees.of(after, _opened(after, known))[0], wanted[0]):
            raise ManifestError("the file would not hold that value as it is given", hint="see how its kind spells it")
    kept = [known.get(leaf.value.text, _NEW) for leaf in after.leaves]
    return _sealed(after, opened, _opened(after, known), kept, now)


def _sealed(document: Document, opened: Opened, values: list[Value], kept: list[Value], now: str) -> bytes:
    """The document sealed, and proven. `kept`: what its leaves held so far, whose tokens stand there."""
    before = sealing.Opened(opened.metadata, opened.dek, kept, [])
    plan = sealing.Plan(opened.dek, opened.metadata.changed(), now, before)
    made = sealing.seal_document(document, values, plan)
    proven(document.kind, made, opened.dek, values)
    return made


def _opened(document: Document, known: dict[bytes, Value]) -> list[Value]:
    return [known.get(leaf.value.text, leaf.value) for leaf in document.leaves]


def _number(document: Document, path: Path) -> int | None:
    """The place among all leaves of the value at exactly that path of the first document."""
    for number, leaf in enumerate(document.leaves):
        if leaf.path == path and not leaf.unit and leaf.value.kind != "comment":
            return number
    return None


def _values(tree: Tree) -> list[Value]:
    if isinstance(tree, Value):
        return [tree]
    return [value for _, item in tree.items for value in _values(item)]
