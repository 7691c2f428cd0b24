"""Comments of a YAML text, and the container that each belongs to, as go-yaml tells SOPS.

Its rules in short (the rest hangs on its scanner): a comment before a collection's first item is that collection's;
one at the column of the item that follows, with no blank line between, or left of it, is that item's container's; any
other the innermost open block's that starts no further right. A wrong guess loses nothing: SOPS, and we, read it all
the same.
"""

from __future__ import annotations

from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from secretsvc.document.base import Path

_COMMENT = pattern(r"(?:(?<=[ \t\r\n])|\A)#([^\r\n]*)")
_BLANK_LINE = pattern(r"\n[ \t]*\r?\n")


class Container:
    """A mapping or a list."""

    __slots__ = ("column", "flow", "outer", "path", "start", "unit")

    def __init__(self, outer: Container | None, path: Path, unit: int, start: int, column: int, *, flow: bool) -> None:
        self.outer = outer
        self.path = path
        self.unit = unit
        self.start = start
        self.column = column
        self.flow = flow


class YamlItem:
    """A member of a mapping, or an item of a list: where its key or its dash stands."""

    __slots__ = ("container", "is_first", "leaf_end", "leaf_start", "start")

    def __init__(self, container: Container, start: int, *, is_first: bool) -> None:
        self.container = container
        self.start = start
        self.is_first = is_first
        self.leaf_start = -1
        """Where its scalar starts and ends; -1 for a collection."""
        self.leaf_end = -1


class YamlComment:
    """One comment. `start` is the place of its `#`, `order` where it counts among the leaves."""

    __slots__ = ("container", "end", "inline", "line", "order", "start", "text")

    def __init__(self, start: int, text: str, container: Container, order: int, *, inline: bool) -> None:
        self.start = start
        self.line = 0
        self.end = start + 1 + len(text)
        self.text = text
        self.container = container
        self.order = order
        self.inline = inline


def comments(
    text: str, items: list[YamlItem], taken: list[tuple[int, int]], roots: list[Container]
) -> Iterator[YamlComment]:
    """Yield every comment, in the text's order.

    `items`: of all units, by their places; `taken`: where scalars stand, by their places; `roots`: of the units.
    """
    next_item = next_taken = unit = counted = 0
    line = 1
    for found in _COMMENT.finditer(text):
        at = found.start()
        while next_taken < len(taken) and taken[next_taken][1] <= at:
            next_taken += 1
        if next_taken < len(taken) and taken[next_taken][0] <= at:
            continue  # within a scalar
        while next_item < len(items) and items[next_item].start < at:
            next_item += 1
        while unit + 1 < len(roots) and roots[unit + 1].start <= at:
            unit += 1
        before = items[next_item - 1] if next_item else None
        after = items[next_item] if next_item < len(items) else None
        if roots:
            line += text.count("\n", counted, at)
            counted = at
            comment = _placed(text, found, before, after, roots[unit])
            comment.line = line
            yield comment


def _placed(
    text: str, found: re.Match[str], before: YamlItem | None, after: YamlItem | None, root: Container
) -> YamlComment:
    at = found.start()
    line = text.rfind("\n", 0, at) + 1
    if before and before.container.unit != root.unit:
        before = None
    if text[line:at].strip(" \t") and before:
        is_behind = 0 <= before.leaf_end <= at and before.leaf_end > line
        return YamlComment(at, found[1], before.container, before.leaf_start if is_behind else at, inline=True)
    return YamlComment(at, found[1], _owner(text, found, before, after, root), at, inline=False)


def _owner(
    text: str, found: re.Match[str], before: YamlItem | None, after: YamlItem | None, root: Container
) -> Container:
    """The container of a comment on a line of its own."""
    at = found.start()
    column = at - (text.rfind("\n", 0, at) + 1)
    if after and after.container.unit != root.unit:
        after = None
    if after and (after.is_first or after.container.flow):
        return after.container
    if after:
        other = after.container.column
        if other > column or (other == column and not _BLANK_LINE.search(text, found.end(), after.start)):
            return after.container
    container = before.container if before else None
    while container and (container.flow or container.column > column):
        container = container.outer
    if not after and not column:
        return root
    return container or root
