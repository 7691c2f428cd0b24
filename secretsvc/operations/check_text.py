"""Secrets in texts that no parser takes: templates before they are rendered, and broken files.

A scan by lines. It errs on the side of a finding in broken files, and takes what stands in `{{ … }}` for no value.
"""

from __future__ import annotations

from secretsvc import formats
from secretsvc.operations.check_template import without_placeholders
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Possessive (`*+`, `++`) where what follows can't match what they took: else a run of blanks is tried in n² ways.
_KIND = pattern(r"""((?:\s|-\s)*)["']?(?i:kind)["']?\s*:\s*["']?(?i:secret)["']?\s*(?:#.*)?""")
_FIELD = pattern(r"""((?:\s|-\s)*)["']?(?:data|stringData)["']?\s*:(.*)""")
_ENTRY = pattern(r"""\s*+(?:"[^"]*+"|'[^']*+'|[^\s:"']*+)\s*+:(?:\s++(.*))?""")
_COMMENT = pattern(r"(^|\s)#.*")
_BLOCK = pattern(r"[|>][-+0-9]*")
_SAYS_KIND = pattern(r"""\b[Kk](?i:ind)\\?["']?\s*+:\s*+(?:[&!]\S{1,200}+\s++)*+(["']?(?i:secret(?:list)?)\b)?""")
_SAYS_FIELD = pattern(r"""\b(?:data|stringData)["']?\s*+:""")
_MOST_LOOKS = 8
"""How often a document's lines are looked at, each time as members of another mapping."""
_EMPTY = ("", "~", "null", "Null", "NULL", "{}", '""', "''")


class Suspect(Record):
    """A document that seems to hold a Secret."""

    first_lines: tuple[int, ...]
    """The document's first line that is neither blank nor a comment, and its Secrets' own first lines."""
    literal_line: int
    """Where its first value in the clear stands; 0 where none was seen."""
    understood: bool
    """Whether its data was found, so that none seen means none there."""


def seems_to_hold(document: str) -> bool:
    """Tell whether it says both `kind: Secret` and `data:`."""
    return any(found[1] for found in _SAYS_KIND.finditer(document)) and _SAYS_FIELD.search(document) is not None


def suspects(text: str) -> Iterator[Suspect]:
    """The documents of a text that seem to hold a Secret with data."""
    for number, lines in split_documents(text):
        document = "\n".join(lines)
        if not seems_to_hold(document):
            continue
        first = next((at for at, line in enumerate(lines) if line.strip() and line.lstrip()[:1] != "#"), 0)
        mappings, all_seen = _mappings(lines)
        found = [_literal_line(lines, siblings, column) for siblings, column in mappings]
        literal = next((at for at in found if at), 0)
        starts = [next(at for at in siblings if not _is_steering(lines[at])) for siblings, _ in mappings]
        first_lines = tuple(number + at for at in (first, *starts))
        yield Suspect(
            first_lines, number + literal - 1 if literal else 0, bool(found) and None not in found and all_seen
        )


def _mappings(lines: list[str]) -> tuple[list[tuple[list[int], int]], bool]:
    """The lines of each Secret, and its column; those of a mapping that says its kind often are looked at once.

    And whether these are all: lines that belong to mappings of many columns are not looked at for ever.
    """
    found: list[tuple[list[int], int]] = []
    known: set[tuple[int, int]] = set()
    left = _MOST_LOOKS * sum(map(len, lines)) + 10_000
    for at, line in enumerate(lines):
        kind = _KIND.fullmatch(line)
        if kind and (at, len(kind[1])) not in known:
            if left < 0:
                return found, False
            siblings = _siblings(lines, at, len(kind[1]))
            known.update((sibling, len(kind[1])) for sibling in siblings)
            left -= sum(len(lines[sibling]) + 1 for sibling in siblings)
            found.append((siblings, len(kind[1])))
    return found, True


def split_documents(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each document's lines, and the number of the first of them."""
    start, lines = 1, text.splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith("---") and number > start:
            yield start, lines[start - 1 : number - 1]
            start = number
    yield start, lines[start - 1 :]


def _literal_line(lines: list[str], siblings: list[int], column: int) -> int | None:
    """The line, from 1, of the first value in the clear in a Secret; 0 for none; None where no data was found.

    Columns tell what belongs together; lines that only steer the template have no say in it.
    """
    found = None
    for index in siblings:
        field = _FIELD.fullmatch(lines[index])
        if not field or len(field[1]) != column:
            continue
        found = found or 0
        if _is_literal(field[2]):
            return index + 1
        inside = _indented(lines, index, column)
        found = next((line + 1 for line in _values(lines, inside) if _is_literal(_value(lines[line]))), found)
        if found:
            return found
    return found


def _is_steering(line: str) -> bool:
    bare = line.strip()
    return not bare or bare.startswith("#") or not without_placeholders(bare)


def _column(line: str) -> int:
    """Return where the text of a line starts, after the dash of a list's item."""
    return len(line) - len(line.lstrip(" \t-")) if line.lstrip().startswith("- ") else len(line) - len(line.lstrip())


def _siblings(lines: list[str], at: int, column: int) -> list[int]:
    """The indexes of the lines of the mapping that the line `at` is a member of."""
    start = end = at
    while start > 0 and not lines[start].lstrip().startswith("- ") and _belongs(lines[start - 1], column):
        start -= 1
    while end + 1 < len(lines) and _belongs(lines[end + 1], column) and not _starts_item(lines[end + 1], column):
        end += 1
    return list(range(start, end + 1))


def _belongs(line: str, column: int) -> bool:
    return _is_steering(line) or (_column(line) >= column and not line.startswith("---"))


def _starts_item(line: str, column: int) -> bool:
    return line.lstrip().startswith("- ") and len(line) - len(line.lstrip()) < column


def _indented(lines: list[str], at: int, column: int) -> Iterator[int]:
    for index in range(at + 1, len(lines)):
        line = lines[index]
        if not _is_steering(line):
            indent = len(line) - len(line.lstrip())
            if indent < column or (indent == column and not line.lstrip().startswith("- ")):
                return
            yield index


def _values(lines: list[str], indexes: Iterator[int]) -> Iterator[int]:
    """Lines with a value, or a part of one. A block's header is none; the lines under it are."""
    for index in indexes:
        if not _BLOCK.fullmatch(_value(lines[index])):
            yield index


def _value(line: str) -> str:
    """Return what follows the key, or all of a line that has none; the template's part is taken out of it."""
    bare = without_placeholders(line)
    entry = _ENTRY.fullmatch(bare)
    value = (entry[1] or "") if entry else bare
    return _COMMENT.sub("", value).strip()


def _is_literal(text: str) -> bool:
    bare = _COMMENT.sub("", without_placeholders(text)).strip()
    return bare not in _EMPTY and not formats.starts_token(bare.strip("\"'"))
