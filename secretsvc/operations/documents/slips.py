"""Slips in an editor that would leave a sealed value in the clear, in a file that SOPS's format seals.

Its rule says what is sealed, so a key that was renamed, or a line that became a comment, may fall out of it.
"""

from __future__ import annotations

from collections import Counter

from secretsvc.document import kinds
from secretsvc.errors import RepeatedError
from secretsvc.formats.sops.cipher import aad_of, is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.sealing import named
from secretsvc.formats.sops.selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.document.base import Document, Leaf, Value
    from secretsvc.formats.sops.sealing import Opened
    from secretsvc.operations.documents import SealedTree

_HINT = "take it out, or give it a key that the rule seals; where it is no secret: --allow-repeated"


def refuse_repeated(tree: SealedTree, opened: Opened, shown: bytes, typed: Document) -> None:
    """Refuse what is in the clear now, was not, and holds a value that is sealed or was. Raises RepeatedError.

    `shown`: the file in the clear, before it was edited; `typed`: after. Short values are looked for in comments
    that were their lines.
    """
    selection = Selection(*tree.metadata.rule)
    leaves = [(leaf, selection.selects(leaf)) for leaf in typed.leaves]
    was_clear = Counter(_said(leaf) for leaf in tree.document.leaves if not is_token(leaf.value.text))
    fresh = []
    for leaf, is_due in leaves:
        if not is_due and leaf.value.text and not was_clear[_said(leaf)]:
            fresh.append(leaf)
    if not fresh:
        return
    pairs = zip(tree.document.leaves, opened.values, strict=True)
    held = [(named(leaf.path), value) for leaf, value in pairs if is_token(leaf.value.text)]
    held += [(named(leaf.path), leaf.value) for leaf, is_due in leaves if is_due]
    lines = _lines(tree, shown) if any(leaf.value.kind == "comment" for leaf in fresh) else set()
    for leaf in fresh:
        if leaf.value.kind == "comment" and _bare(leaf.value.text) in lines:
            what = "a line that held a sealed value is a comment now, which stays in the clear"
            raise RepeatedError(what, hint=_HINT, line=leaf.line)
    _refuse_spelled(fresh, held)


def _said(leaf: Leaf) -> tuple[bytes, Value]:
    return aad_of(leaf.path), leaf.value


def _refuse_spelled(fresh: Iterable[Leaf], held: Iterable[tuple[str, Value]]) -> None:
    """Look for values, and their base64, in what is in the clear now."""
    from secretsvc.operations.needles import Needles, spellings
    from secretsvc.operations.unpacked import TooMuchError

    needles = Needles({text: name for name, value in held if value.kind == "str" for text in spellings(value.text)})
    for leaf in fresh:
        where = "a comment" if leaf.value.kind == "comment" else named(leaf.path)
        try:
            found = next(needles.found(leaf.value.text), None)
        except TooMuchError:
            what = f"{where} holds more than can be looked through for values that it repeats"
            raise RepeatedError(what, hint=_HINT, line=leaf.line) from None
        if found:
            what = f"{where}, which stays in the clear, holds the sealed value of {found[2]}"
            raise RepeatedError(what, hint=_HINT, line=leaf.line)


def _lines(tree: SealedTree, shown: bytes) -> set[bytes]:
    """The lines of the clear text that hold a sealed value."""
    document = kinds.read(tree.document.kind, shown, MEMBER)
    lines = shown.splitlines()
    found = set()
    for sealed, leaf in zip(tree.document.leaves, document.leaves, strict=False):
        if is_token(sealed.value.text):
            height = document.source(leaf).rstrip().count(b"\n") + 1
            found |= set(_telling(lines[leaf.line - 1 : leaf.line - 1 + height]))
    return found


def _telling(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without the blanks and signs around them, where there is a value in them."""
    for line in lines:
        bare = _bare(line)
        if any(chr(sign).isalnum() for sign in bare) and not bare.endswith((b":", b"|", b">", b"|-", b">-")):
            yield bare


def _bare(text: bytes) -> bytes:
    return text.strip().strip(b"# \t;")
