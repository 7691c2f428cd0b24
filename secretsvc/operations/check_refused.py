"""Secrets in the clear where no Secret was read: inside other objects, in texts that are refused, in templates."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE

from secretsvc.errors import BoundError
from secretsvc.manifest import copies, line_reader
from secretsvc.manifest.kubectl_stream import documents
from secretsvc.manifest.nodes import Scalar
from secretsvc.operations import check_text
from secretsvc.operations.check_objects import objects, place
from secretsvc.operations.check_template import filled, is_template
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from typing import TypeAlias

    from secretsvc.errors import ManifestError
    from secretsvc.formats.base import Flaw as Hit
    from secretsvc.manifest.nodes import Node
    from secretsvc.operations.check_objects import Text

    Group: TypeAlias = tuple[tuple[int, ...], list[Hit]]
    """The lines where a comment may say why something stays as it is, and what was found."""

MOST_LOOKED_THROUGH = 1024 * 1024
"""Characters of a file that can't be read or is refused, each document of which is read several times."""

_CONTINUED = pattern(r"\\(?:\r\n|[\r\n\x85\u2028\u2029])\s*")
_ESCAPE = pattern(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U000([0-9a-fA-F]{5}))")
_ALIASED = pattern(r"\bkind\s*:\s*\*|<<\s*:|\?\s*\*|\*\w+\s+:")
_WORDS = (pattern(r"\bSecret\b"), pattern(r"\b(?:data|stringData)\b"))
_BETWEEN = pattern(r"(?m)(?:^|(?<=\s))#.*|(?<=:)[ \t]+[|>][-+0-9]*(?=\s)")
_ENCODINGS = (((BOM_UTF32_LE, BOM_UTF32_BE), "utf-32"), ((BOM_UTF16_LE, BOM_UTF16_BE), "utf-16"))
"""By their BOMs; the longer first, which starts with the shorter."""
_NO_SECRET = "an object is a Secret but for its kind or apiVersion, and has a value in the clear"  # noqa: S105


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


def as_text(data: bytes) -> str:
    """Return the text of what is no manifest, as well as a scan can have it: of UTF-16 and other encodings too."""
    if b"\0" not in data:
        return data.decode("utf-8-sig", "replace")
    for boms, encoding in _ENCODINGS:
        if data.startswith(boms):
            return data.decode(encoding, "replace")
    return data.replace(b"\0", b"").decode("utf-8", "replace")


def refused(text: str, error: ManifestError) -> Iterator[Group]:
    """Look through what no parser takes, or is refused: first lines of what is in the clear there, with hits."""
    if len(text) > MOST_LOOKED_THROUGH or isinstance(error, BoundError):
        what = f"it may hold a Secret, and is too large to be looked through: {error.message}"
        yield (), [(error.line or 1, "KS010", what)]
        return
    is_told = False
    for clear in in_the_clear(text):
        if clear.where:
            yield clear.first_lines, [_nested(clear)]
        elif clear.in_template:
            line = clear.line or clear.first_lines[0]
            yield clear.first_lines, [(line, "KS011", "a template whose Secret has a value in the clear")]
        else:
            is_told = True
            what = "its Secret is refused" if clear.is_read else "it seems to hold a Secret and can't be read"
            yield clear.first_lines, [(error.line or clear.first_lines[0], "KS010", f"{what}: {error.message}")]
    # Copies tell values that are sealed below.
    if not is_told and copies.mentioned(text) and check_text.seems_to_hold(text):
        yield (), [(error.line or 1, "KS010", f"its Secret is refused: {error.message}")]


def in_objects(found: Iterable[Node], text: str, passed_over: Container[int]) -> Iterator[Group]:
    """Return what the objects of a text hold in the clear, but for the Secrets that start at `passed_over`."""
    for clear in _in_objects(found, text, passed_over):
        yield clear.first_lines, [_nested(clear) if clear.where else (clear.line, "KS010", _NO_SECRET)]


def _nested(clear: Clear) -> Hit:
    what = f"a Secret inside another object ({clear.where}) is in the clear, and ksecret does not seal it there"
    return clear.line, "KS014", what


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


def _by_nodes(document: str, *, deeper: bool) -> tuple[dict[int, Clear], bool]:
    """Look by what YAML reads, in the document as it is and as a template may become, up to what it can't read.

    What holds values in the clear, by line; and whether it read all of the one or the other.
    """
    views = [document, filled(document)] if is_template(document) else [document]
    found: dict[int, Clear] = {}
    are_all = False
    for view in views:
        read, is_whole = line_reader.leading_documents(view)
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
