"""Comments of a YAML text, and the container that each belongs to, as go-yaml tells SOPS.

Its rules in short (the rest hangs on its scanner): a comment before a collection's first item is that collection's;
one at the column of the item that follows, with no blank line between, or left of it, is that item's container's; any
other the innermost open block's that starts no further right. A wrong guess loses nothing: SOPS, and we, read it all
the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.document.base import Path

_TO_LINE_FEED = {ord("\r"): "\n"}


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
        """Start and end of its scalar; -1 for a collection."""
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
    gap = _Gap(text)
    for at, end in _signs(text):
        while next_taken < len(taken) and taken[next_taken][1] <= at:
            next_taken += 1
        if next_taken < len(taken) and taken[next_taken][0] <= at:
            continue  # within a scalar
        while next_item < len(items) and items[next_item].start < at:
            next_item += 1
        while unit + 1 < len(roots) and roots[unit + 1].start <= at:
            unit += 1
        gap.before = items[next_item - 1] if next_item else None
        gap.after = items[next_item] if next_item < len(items) else None
        if roots:
            line += text.count("\n", counted, at)
            counted = at
            comment = gap.placed(at, end, roots[unit])
            comment.line = line
            yield comment


def _signs(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each `#` that may begin a comment stands, and where its line ends."""
    lines = text.translate(_TO_LINE_FEED) if "\r" in text else text
    at = text.find("#")
    while at >= 0:
        end = at + 1
        if not at or lines[at - 1] in " \t\n":
            end = lines.find("\n", at)
            end = len(text) if end < 0 else end
            yield at, end
        at = text.find("#", end)


class _Gap:
    """The place between two items, where comments may stand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.before: YamlItem | None = None
        self.after: YamlItem | None = None
        self._looked_at = -1
        """The item before which the last blank line was looked for, by its place."""
        self._last_blank = -1

    def placed(self, at: int, end: int, root: Container) -> YamlComment:
        """Return the comment that stands there."""
        text, before = self._text, self.before
        line = text.rfind("\n", 0, at) + 1
        if before and before.container.unit != root.unit:
            before = None
        found = text[at + 1 : end]
        if before and text[line:at].strip(" \t"):
            is_behind = 0 <= before.leaf_end <= at and before.leaf_end > line
            return YamlComment(at, found, before.container, before.leaf_start if is_behind else at, inline=True)
        return YamlComment(at, found, self._owner(at - line, end, before, root), at, inline=False)

    def _owner(self, column: int, end: int, before: YamlItem | None, root: Container) -> Container:
        """The container of a comment on a line of its own."""
        after = self.after if self.after and self.after.container.unit == root.unit else None
        if after and (after.is_first or after.container.flow):
            return after.container
        if after:
            other = after.container.column
            if other > column or (other == column and not self._has_blank_line(end, after.start)):
                return after.container
        container = before.container if before else None
        while container and (container.flow or container.column > column):
            container = container.outer
        if not after and not column:
            return root
        return container or root

    def _has_blank_line(self, start: int, end: int) -> bool:
        """Tell whether a blank line stands between; of comments before one item, the first one is asked for first."""
        if self._looked_at != end:
            self._looked_at = end
            self._last_blank = _last_blank_line(self._text, start, end)
        return self._last_blank >= start


def _last_blank_line(text: str, start: int, end: int) -> int:
    """Return where the line break before the last blank line stands; -1 where there is none."""
    below = text.rfind("\n", start, end)
    while below >= 0:
        above = text.rfind("\n", start, below)
        if above >= 0 and not text[above + 1 : below].removesuffix("\r").strip(" \t"):
            return above
        below = above
    return -1
