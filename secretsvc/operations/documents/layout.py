"""The layout that sops gives a file, which it writes anew with each change: for versions that are to be merged."""

from __future__ import annotations

from secretsvc.document import kinds, trees, writers
from secretsvc.document.base import Value, apply
from secretsvc.errors import KsecretError
from secretsvc.formats.merge import UnmergeableError
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.operations import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.operations.documents import SealedTree


def in_layout_of_sops(versions: Sequence[bytes], name: str) -> list[bytes] | None:
    """Return base, ours and theirs laid out as sops has it, where sops has done that to a side of another layout.

    None where it has not: then nobody's layout is given up. Values and MACs are as they were.
    """
    found = []
    is_given = False
    try:
        for number, data in enumerate(versions):
            text, was_so = _laid_out(data, name)
            if was_so and not number:
                return None
            is_given = is_given or was_so
            found.append(text)
    except (KsecretError, UnmergeableError, ValueError):
        return None
    return found if is_given else None


def _laid_out(data: bytes, name: str) -> tuple[bytes, bool]:
    """A version in that layout, and whether that is how it was."""
    tree = documents.find(data, name)
    if not tree or tree.document.kind == "binary":
        raise UnmergeableError
    text = _without_member(tree)
    if text == apply(data, tree.document.drop_member()):
        return data, True
    return apply(text, kinds.read(tree.document.kind, text, MEMBER).set_member(tree.metadata.tree)), False


def _without_member(tree: SealedTree) -> bytes:
    document = tree.document
    values = [_as_read(leaf.value) for leaf in document.leaves]
    return writers.written(document.kind, trees.of(document, values))


def _as_read(value: Value) -> Value:
    """A token without what stands behind it, which sops reads over."""
    text = value.text
    return Value(value.kind, text[: text.rfind(b"]") + 1 or None]) if is_token(text) else value
