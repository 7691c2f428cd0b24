"""A new value for a scalar, in the style that it is written in: its quotes, or its block's header and indentation."""

from __future__ import annotations

from secretsvc.manifest.scalars import (
    HEADER,
    before_blank_lines,
    canonical,
    indented,
    inside,
    is_string,
    quoted,
    replaced,
)
from secretsvc.manifest.splice import Edit
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Entry

_ODD = pattern("[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
"""What only an escape can write on one line of YAML, or what its versions disagree on."""

_PLAIN = pattern("[A-Za-z][!-~]*(?: +[!-~]+)*")
"""Texts that are the same plain to every parser in block style, if neither `: ` nor ` #` is in them."""
_LINE_BREAKS = pattern("\n+")


def rewritten(text: str, entry: Entry, value: str) -> Edit:
    """The entry's scalar becomes `value`, in its own style where that can hold it, else in the canonical one."""
    if entry.scalar.style in ("|", ">"):
        return _in_block(text, entry, value) or replaced(text, entry, canonical(value, flow=entry.flow))
    return Edit(entry.scalar.start, entry.scalar.end, styled(value, entry.scalar.style, flow=entry.flow))


def styled(value: str, style: str, *, flow: bool) -> str:
    """A whole scalar in those quotes (`""`: none) where they can hold the value, else in the canonical style."""
    if style == "'" and not _is_odd(value):
        return "'" + value.replace("'", "''") + "'"
    if style:
        return quoted(value)
    return value if not flow and _is_plain(value) else canonical(value, flow=False)


def _is_odd(value: str) -> bool:
    return not value.replace("\t", " ").isprintable() and _ODD.search(value) is not None


def _is_plain(value: str) -> bool:
    return bool(_PLAIN.fullmatch(value)) and ": " not in f"{value} " and " #" not in value and is_string(value)


def _in_block(text: str, entry: Entry, value: str) -> Edit | None:
    """The block's header, its sign for the last line breaks changed where need be, and the value below it.

    None where a block like this can't hold it: one that keeps (`+`) holds any number of line breaks at the end, others
    one or none.
    """
    place = inside(text, entry)
    header = HEADER.match(text, entry.scalar.start)
    body = value.rstrip("\n")
    breaks = len(value) - len(body)
    keeps = "+" in place.shell
    folded = _folded(body) if place.shell[0] == ">" else body
    if not header or header[3] == "\r" or not _holds(body, place.shell) or not folded or (breaks > 1 and not keeps):
        return None
    sign = "-" if not breaks else "+" if keeps else ""
    before = place.shell.strip("|>0123456789")
    shell = place.shell if before == sign else place.shell.replace(before, "") + sign
    below = indented(folded + "\n" * (breaks - 1), place.indent).replace("\n", header[3])
    end = place.end if keeps else before_blank_lines(text, place)
    return Edit(entry.scalar.start, end, shell + header[2] + header[3] + below)


def _holds(body: str, shell: str) -> bool:
    """Tell whether the text, without line breaks at its end, can be the lines of a block with that header."""
    lines = body.split("\n")
    indentation_is_told = shell.strip("|>+-") or body.lstrip("\n")[:1] not in (" ", "\t")
    return bool(lines[-1].strip() and indentation_is_told) and not any(map(_is_odd, lines))


def _folded(body: str) -> str:
    """The lines of a folded block: an empty one more between two. Empty for what no folding gives."""
    if any(line[:1] in (" ", "\t") for line in body.split("\n")) or body.startswith("\n"):
        return ""  # such lines are not folded, nor are the breaks around them
    return _LINE_BREAKS.sub("\n\\g<0>", body)
