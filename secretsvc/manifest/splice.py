"""Changing a text in place: edits by offset, and members added to or taken from a mapping.

Nothing is ever parsed and printed again, so every byte that no edit names stays.
"""

from __future__ import annotations

from secretsvc.manifest.nodes import Scalar
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from secretsvc.manifest.nodes import Mapping, Member


_LONG_LINE = 64 * 1024
"""Characters."""


class Edit(Record):
    """`text[start:end]` becomes `new`."""

    start: int
    end: int
    new: str

    def __repr__(self) -> str:
        return f"Edit({self.start}, {self.end}, masked)"


class Layout(Record):
    """The layout of a new member, so that it looks like its neighbours."""

    flow: bool
    """Between brackets, where quotes and commas are needed (always in JSON)."""
    newline: str
    """The line break; empty where a flow mapping stands on one line."""
    indent: str
    """What the member's own lines start with."""
    unit: str
    """What one more level adds."""
    colon: str
    """Between key and value: ": " or, in compact JSON, ":"."""


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they must not overlap."""
    pieces: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at:
            raise ValueError("overlapping edits")
        pieces += (text[at : edit.start], edit.new)
        at = edit.end
    return "".join((*pieces, text[at:]))


def append_member(text: str, mapping: Mapping, render: Callable[[Layout], str]) -> Edit:
    """A member after the mapping's last one. `render` gives its lines joined by the layout's line break."""
    layout = layout_of(text, mapping)
    rendered = render(layout)
    last = mapping.members[-1].value.end
    if layout.flow:
        gap = layout.newline + layout.indent if layout.newline else layout.colon[1:]
        return Edit(last, last, "," + gap + rendered)
    at = _line_end(text, last)
    if _break_before(text, at):
        return Edit(at, at, layout.indent + rendered + layout.newline)
    return Edit(at, at, layout.newline + layout.indent + rendered)


def insert_member(text: str, mapping: Mapping, before: Member, render: Callable[[Layout], str]) -> Edit:
    """A member of a block mapping on the lines before another one of it."""
    layout = layout_of(text, mapping)
    return Edit(before.key.start, before.key.start, render(layout) + layout.newline + layout.indent)


def replace_member(text: str, mapping: Mapping, member: Member, render: Callable[[Layout], str]) -> Edit:
    """The member written anew where it stands."""
    end = member.value.end
    return Edit(member.key.start, end - _break_before(text, end), render(layout_of(text, mapping)))


def remove_member(text: str, mapping: Mapping, member: Member) -> Edit:
    """The member away, and its line breaks or comma: exactly undoes `append_member`."""
    index = mapping.members.index(member)
    following = mapping.members[index + 1] if index + 1 < len(mapping.members) else None
    if mapping.flow:
        if index:
            return Edit(mapping.members[index - 1].value.end, member.value.end, "")
        return Edit(member.key.start, following.key.start if following else member.value.end, "")
    if _is_behind_a_dash(text, member):
        return Edit(member.key.start, following.key.start if following else member.value.end, "")
    start = start_of_line(text, member.key.start)
    end = _line_end(text, member.value.end)
    if not _break_before(text, end):  # the file's last line, and it does not end
        return Edit(start - _break_before(text, start), end, "")
    return Edit(start, end, "")


def remove_members(text: str, mapping: Mapping, names: Container[str]) -> Iterator[Edit]:
    """Every member with one of those names away."""
    members = mapping.members
    gone = [isinstance(key, Scalar) and key.value in names for key, _ in members]
    leading = gone.index(False) if False in gone else len(gone)
    start = 0
    if 0 < leading < len(gone) and (mapping.flow or _is_behind_a_dash(text, members[0])):
        yield Edit(members[0].key.start, members[leading].key.start, "")
        start = leading
    for index in range(start, len(members)):
        if gone[index]:
            first = index if index < leading else index - 1  # of those that lead, what goes before is nothing to it
            yield remove_member(text, mapping._replace(members=members[first : index + 2]), members[index])


def _is_behind_a_dash(text: str, member: Member) -> bool:
    """Tell whether a member is first on the line of a list's dash."""
    return bool(text[start_of_line(text, member.key.start) : member.key.start].strip(" "))


def layout_of(text: str, mapping: Mapping) -> Layout:
    """Return how a member of that mapping is to be written."""
    if not mapping.flow:
        return Layout(False, line_break(text), " " * mapping.column, "  ", ": ")
    key, value = mapping.members[-1]
    colon = text[key.end : value.start]
    compact = Layout(True, "", "", "", colon if colon in (":", ": ") else ": ")
    if not any(mark in text[value.end : mapping.end] for mark in "\r\n"):
        return compact
    indent = text[start_of_line(text, key.start) : key.start]
    if indent.strip(" \t"):
        return compact
    closing = text[start_of_line(text, mapping.end - 1) : mapping.end - 1]
    unit = indent[len(closing) :] if indent.startswith(closing) and indent != closing else "  "
    return Layout(True, line_break(text), indent, unit, compact.colon)


def line_break(text: str) -> str:
    """The text's line break: that of its first line, unless that is longer than any that people write."""
    at = text.find("\n", 0, _LONG_LINE)
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"


def start_of_line(text: str, at: int) -> int:
    """Return where the line of `at` starts, be it after a lone carriage return.

    Looks further back step by step: a text may have one kind of line break only, and a million lines.
    """
    reach, end = 1024, at
    while True:
        start = max(0, at - reach)
        found = max(text.rfind("\n", start, end), text.rfind("\r", start, end))
        if found >= 0 or not start:
            return found + 1
        reach, end = reach * 4, start


def _break_before(text: str, at: int) -> int:
    """Return how long the line break before `at` is: 0, 1 or 2."""
    if at >= 2 and text.startswith("\r\n", at - 2):
        return 2
    return 1 if at and text[at - 1] in "\r\n" else 0


def _line_end(text: str, at: int) -> int:
    """Return the place after the line break that ends the line of `at`; `at` itself where a line starts there."""
    if _break_before(text, at):
        return at
    reach, start = 1024, at
    while start < len(text):
        end = min(len(text), at + reach)
        feed = text.find("\n", start, end)
        carriage = text.find("\r", start, feed if feed >= 0 else end)
        if carriage >= 0:
            return carriage + (2 if text.startswith("\n", carriage + 1) else 1)
        if feed >= 0:
            return feed + 1
        reach, start = reach * 4, end
    return len(text)
