"""Secrets in the clear where no Secret was read: inside other objects, in texts that are refused, in templates."""

from __future__ import annotations

import re

from secretsvc.manifest import roots
from secretsvc.manifest.kubectl_stream import documents
from secretsvc.manifest.nodes import Scalar
from secretsvc.operations import check_text
from secretsvc.operations.check_objects import objects, place
from secretsvc.operations.check_template import filled, is_template
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from secretsvc.manifest.nodes import Node
    from secretsvc.operations.check_objects import Text

_CONTINUED = re.compile(r"\\(?:\r\n|[\r\n\x85\u2028\u2029])\s*")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U000([0-9a-fA-F]{5}))")
_ALIASED = re.compile(r"\bkind\s*:\s*\*|<<\s*:|\?\s*\*|\*\w+\s+:")
_WORDS = (re.compile(r"\bSecret\b"), re.compile(r"\b(?:data|stringData)\b"))
_BETWEEN = re.compile(r"(?m)(?:^|(?<=\s))#.*|(?<=:)[ \t]+[|>][-+0-9]*(?=\s)")


class Clear(Record):
    """A Secret with a value in the clear, or a document that may hold one."""

    first_lines: tuple[int, ...]
    """Where a comment may say why: the Secret's first line, its document's."""
    line: int
    """Of the value; 0 where only the document is known."""
    where: str = ""
    """The path to a Secret inside another object, as messages name it."""
    in_template: bool = False
    """Whether it was read in what a template may become."""
    is_read: bool = True
    """Whether YAML read it; else its lines tell of it."""


def in_the_clear(text: str) -> Iterator[Clear]:
    """Return what a text that is refused, or can't be read, holds in the clear.

    Each document by itself, as kubectl reads them: what is wrong with one keeps it from no other. Those that can't be
    read, as templates either, are looked through by their lines.
    """
    for number, document in documents(text):
        found, are_all = _by_nodes(document, deeper=True)
        if not are_all:
            found = {clear.line: clear for clear in _by_lines(document)} | found
        for clear in found.values():
            line = number + clear.line - 1 if clear.line else 0
            yield clear._replace(first_lines=tuple(number + one - 1 for one in clear.first_lines), line=line)


def unread(document: Node) -> bool:
    """Tell whether all of it is one text, as which YAML takes what it can't divide, and that seems to hold a Secret."""
    return isinstance(document, Scalar) and check_text.seems_to_hold(document.value)


def in_objects(found: Iterable[Node], text: str, passed_over: Container[int]) -> list[Clear]:
    """Return what the objects of a text hold in the clear, but for the Secrets that start at `passed_over`."""
    return _in_objects(found, text, passed_over)


def _by_nodes(document: str, *, deeper: bool) -> tuple[dict[int, Clear], bool]:
    """Look by what YAML reads, in the document as it is and as a template may become, up to what it can't read.

    What holds values in the clear, by line; and whether it read all of the one or the other.
    """
    views = [document, filled(document)] if is_template(document) else [document]
    found: dict[int, Clear] = {}
    are_all = False
    for view in views:
        read, is_whole = roots.leading_documents(view)
        are_all |= is_whole and not any(unread(node) for node in read)
        seen = _in_objects(read, view, deeper=deeper)
        found = {clear.line: clear._replace(in_template=view != document) for clear in seen} | found
    first = _first_line(document) if found else 0
    return {line: clear._replace(first_lines=(first, *clear.first_lines)) for line, clear in found.items()}, are_all


def _in_objects(
    found: Iterable[Node], text: str, passed_over: Container[int] = (), *, deeper: bool = True
) -> list[Clear]:
    """`deeper`: manifests in texts are looked at as well, but none in theirs."""
    seen = objects(found, text, passed_over)
    here = [Clear((one.root.line,), one.line, "" if one.is_top else place(one.path)) for one in seen.found]
    return here + [clear for held in seen.texts if deeper for clear in _in_text(held)]


def _in_text(held: Text) -> Iterator[Clear]:
    """A manifest in a value: at the line where the value starts, and for a block at its own."""
    where = f"the text {place(held.path)}"
    for number, document in documents(held.scalar.value):
        for clear in _by_nodes(document, deeper=False)[0].values():
            start = held.scalar.line
            if held.scalar.style not in ("|", ">"):
                yield Clear((start,), start, where)
            else:
                lines = tuple(start + number + line - 1 for line in (clear.line, *clear.first_lines))
                yield Clear((start, *lines), lines[0], where)


def _by_lines(document: str) -> Iterator[Clear]:
    is_found, template = False, is_template(document)
    for suspect in check_text.suspects(document):
        is_found = True
        if suspect.literal_line or not suspect.understood:
            yield Clear(suspect.first_lines, suspect.literal_line, in_template=template, is_read=False)
    if not is_found and (check_text.seems_to_hold(spelled := _spelled_out(document)) or _may_allude(spelled)):
        yield Clear((_first_line(document),), 0, is_read=False)


def _may_allude(document: str) -> bool:
    """Tell whether aliases or merge keys may make a Secret of what it says."""
    return _ALIASED.search(document) is not None and all(word.search(document) for word in _WORDS)


def _first_line(text: str) -> int:
    """Return a document's first line that is neither blank nor a comment nor a separator."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and line.lstrip()[0] != "#" and line.rstrip() != "---":
            return number
    return 1


def _spelled_out(document: str) -> str:
    """A text that can't be parsed, without what may hide a word in it: escapes, comments, block headers."""
    unescaped = _ESCAPE.sub(lambda found: chr(int("".join(filter(None, found.groups())), 16)), document)
    return _BETWEEN.sub("", _CONTINUED.sub("", unescaped))
