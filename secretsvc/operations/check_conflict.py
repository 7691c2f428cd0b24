"""Git's conflict markers, and the versions between which nobody has chosen yet.

Source: https://git-scm.com/docs/git-merge, "How conflicts are presented"; markers are of seven characters and more.
"""

from __future__ import annotations

from secretsvc.manifest import line_reader
from secretsvc.manifest.kubectl_stream import documents
from secretsvc.manifest.nodes import Mapping
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKER = pattern(rb"\n(?:<{7,}|\|{7,}|={7,}|>{7,})(?: [^\n]*)?\r?(?=\n|\Z)")
_LINE = pattern(rb"[^\n]*\n|[^\n]+")
_SIDES = {b"<": 0, b"|": 1, b"=": 2, b">": None}
"""Which version a marker starts: ours, their common base, theirs, or all of them again."""


def first_marker(data: bytes) -> int:
    """The line, from 1, of the first marker; 0 for none."""
    if not any(sign * 7 in data for sign in _SIDES):
        return 0
    found = _MARKER.search(b"\n" + data)
    return data.count(b"\n", 0, found.start()) + 1 if found else 0


def versions(data: bytes) -> list[bytes]:
    """The file as each side would have it, blank lines in place of the others', so that lines keep their numbers."""
    kept: list[list[bytes]] = [[], [], []]
    side = None
    for line in _LINE.findall(data):
        marker = _MARKER.match(b"\n" + line)
        if marker and len(line.split(b" ")[0].rstrip()) == 7:
            side = _SIDES[line[:1]]
        for number, lines in enumerate(kept):
            is_kept = not marker and side in (None, number)
            lines.append(line if is_kept else b"\n")
    return list(dict.fromkeys(b"".join(lines) for lines in kept))


def with_quoted_markers(text: str) -> str:
    """The documents that can be read in spite of markers, which stand in texts of theirs; blank lines for all others.

    No side need have all of such a document, and kubectl takes it as it is.
    """
    return "".join(_readable_by_line(text)).rstrip("\n")


def _readable_by_line(text: str) -> Iterator[str]:
    line = 1
    for number, document in documents(text):
        if first_marker(document.encode()) and _is_read(document):
            yield "\n" * (number - line) + document
            line = number + document.count("\n")


def _is_read(document: str) -> bool:
    found, are_all = line_reader.leading_documents(document)
    return are_all and any(isinstance(node, Mapping) for node in found)
