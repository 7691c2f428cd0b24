"""Scalars: their inside, which a token replaces, and their shell, which stays (quotes, or a block's header); and the
plain ones that Kubernetes reads as strings: its rules, neither YAML 1.2's nor PyYAML's.

Source: what kubectl 1.27 to 1.33 does (design KUBECTL, section 8), which is resolve.go of goyaml.v2.
"""

from __future__ import annotations

from secretsvc.errors import ManifestError
from secretsvc.manifest.splice import Edit
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Entry
    from secretsvc.manifest.nodes import Scalar

HEADER = pattern(r"([|>][-+0-9]*)([^\r\n]*)(\r\n|\r|\n)?")
"""A block's indicators, what stands behind them, and the line break."""

_ESCAPED = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)}
"""What JSON leaves as it is, and YAML does not."""
_SAFE_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_SAFE = "".join(_SAFE_FIRST) + "=._-"
"""Characters that a plain scalar may be made of, be it in a key's place or a value's."""

_WORDS = frozenset(
    (
        *("", "~", "null", "Null", "NULL"),
        *("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"),
        *("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"),
        *(".nan", ".NaN", ".NAN"),
        *(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")),
        "<<",  # a string as a value, but as a key it merges
    )
)
_LONGEST_WORD = max(map(len, _WORDS))
_IN_NUMBERS = "0123456789abcdefABCDEFoOxX+-._"
_NUMBER = pattern(
    r"[-+]?0[xX][0-9a-fA-F]+|[-+]?0[oO][0-7]+|[-+]?0[bB][01]+|0b[-+][01]+"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
)
_FRACTION = pattern(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")


class Inside(Record):
    """The text between a scalar's quotes, or under its block header up to before the last line break."""

    start: int
    end: int
    shell: str
    """"" (plain), "'", '"', or a block header's indicators such as `|2-`."""
    indent: int
    """Columns that a block scalar's body is indented by; 0 for the others."""


def inside(text: str, entry: Entry) -> Inside:
    """Return where the entry's token goes, or stands. Raises ManifestError for a block scalar without a single line."""
    scalar = entry.scalar
    if scalar.style in ("", "'", '"'):
        inset = 1 if scalar.style else 0
        return Inside(scalar.start + inset, scalar.end - inset, scalar.style, 0)
    indicators, _, start = _header(text, scalar)
    end = scalar.end
    if not indicators or start == end:
        raise ManifestError(f"{entry.path} is a block without lines", hint='write ""', line=scalar.line)
    if text[end - 1] == "\n":
        end -= 2 if text[end - 2] == "\r" else 1
    elif text[end - 1] == "\r":
        end -= 1
    return Inside(start, max(start, end), indicators, block_indent(text[start:end], indicators, entry.column))


def _header(text: str, scalar: Scalar) -> tuple[str, str, int]:
    """A block's indicators (empty for none), what stands behind them on their line, and where its lines start."""
    breaks = (text.find(mark, scalar.start, scalar.end) for mark in "\r\n")
    stop = min((at for at in breaks if at >= 0), default=scalar.end)
    line = text[scalar.start : stop]
    rest = line[1:].lstrip("+-0123456789") if line.startswith(("|", ">")) else line
    start = stop + (2 if text.startswith("\r\n", stop) else 1)
    return line[: len(line) - len(rest)], rest, min(start, scalar.end)


def block_indent(body: str, indicators: str, parent: int) -> int:
    """YAML 1.1, section 9.2.2: the header's digit counts from the parent, else the first line with text tells."""
    digit = indicators.strip("|>+-")
    if digit:
        return parent + int(digit)
    before = body[: len(body) - len(body.lstrip(" \r\n"))]
    return len(before) - len(before.rstrip(" ")) if before != body else parent + 2


def replaced(text: str, entry: Entry, new: str) -> Edit:
    """The whole scalar becomes `new`: tag, quotes and block header too; the line break after a block stays.

    So does a comment behind a block's header, unless `new` has several lines and no place for it.
    """
    scalar = entry.scalar
    if scalar.style not in ("|", ">"):
        return Edit(scalar.start, scalar.end, new)
    if scalar.tag:
        return Edit(scalar.start, scalar.start + len(text[scalar.start : scalar.end].rstrip("\r\n")), new)
    indicators, behind, _ = _header(text, scalar)
    comment = behind.rstrip() if indicators and "\n" not in new else ""
    place = inside(text, entry)
    end = place.end if "+" in place.shell else before_blank_lines(text, place)
    return Edit(scalar.start, end, new + comment)


def before_blank_lines(text: str, place: Inside) -> int:
    """Return where the block's value ends: blank lines after it, indented no further than it is, are no part of it."""
    end = at = place.end
    while at > place.start:
        if text[at - 1] in "\r\n":
            at -= 2 if at - 2 >= place.start and text[at - 2 : at] == "\r\n" else 1
            end = at
        elif text[at - 1] == " " and end - at < place.indent:
            at -= 1
        else:
            break
    return end


def dedented(body: str, indent: int) -> str | None:
    """A block's body with its indentation taken off; None where `indented` would not give it back exactly."""
    lead = " " * indent
    lines = []
    for line in body.split("\n"):
        if line.startswith(lead) and line.rstrip("\r") != lead:
            lines.append(line[indent:])
        elif line in ("", "\r"):
            lines.append(line)
        else:
            return None
    return "\n".join(lines)


def indented(body: str, indent: int) -> str:
    """A body with that indentation put before each line that is not empty."""
    lead = " " * indent
    return "\n".join(lead + line if line not in ("", "\r") else line for line in body.split("\n"))


def canonical(value: str, *, flow: bool) -> str:
    """A whole scalar that every parser reads as exactly this string: plain where that is plainly safe, else quoted."""
    if not flow and value[:1] in _SAFE_FIRST and not value.strip(_SAFE) and is_string(value):
        return value
    return quoted(value)


def quoted(value: str) -> str:
    """A double-quoted scalar, the same in JSON and in YAML (which lacks JSON's surrogate pairs, hence raw UTF-8)."""
    try:
        from _json import encode_basestring  # CPython's own, without the decoder and its patterns
    except ImportError:
        from json.encoder import encode_basestring
    return encode_basestring(value).translate(_ESCAPED)


def _fits_a_block(line: str) -> bool:
    """Tell whether a line of a literal block may be that to every parser: it starts with no blank."""
    return line[:1] not in (" ", "\t") and all(map(_is_in_blocks, set(line)))


def _is_in_blocks(character: str) -> bool:
    return " " <= character < "\x7f" or "\xa0" < character < "\u0300" or character == "\t"


def literal_block(value: str, indent: int, newline: str) -> str | None:
    """Text of several lines as a literal block (`|`, `|-`); None where a block can't hold it exactly, or needn't."""
    body = value.removesuffix("\n")
    lines = body.split("\n")
    if len(lines) < 2 or body.endswith("\n") or not all(map(_fits_a_block, lines)) or not lines[0]:
        return None
    return (
        ("|" if body != value else "|-") + newline + newline.join(" " * indent + line if line else "" for line in lines)
    )


def is_string(text: str) -> bool:
    """Tell whether Kubernetes reads this plain scalar as a string, not as a null, a boolean or a number.

    Underscores count for nothing in a number, except after a leading point, where they must part digits.
    Dates and `1:30` are strings. What overflows (17 digits after 0x, 1e400) is a string to kubectl so far, but
    its YAML library has source that makes big integers of some: here all have a number's shape and are numbers.
    A wrong True would let Kubernetes change a value silently; a wrong False asks someone for quotes.
    """
    if len(text) <= _LONGEST_WORD and text in _WORDS:
        return False
    if text.strip(_IN_NUMBERS):
        return True
    if text.isdigit():  # most numbers are
        return False
    if text[0] == ".":
        return not _FRACTION.fullmatch(text)
    if text[0] in "+-0123456789":
        return not _NUMBER.fullmatch(text.replace("_", ""))
    return True
