"""Types of YAML scalars as go-yaml v3, and so SOPS, sees them: kind and canonical text.

Neither YAML 1.1 nor 1.2, nor what Kubernetes reads (`manifest/scalars.py`, go-yaml v2): `yes` is a text here, `08` a
float, `2024-1-1` a time. Source: resolve.go of https://github.com/go-yaml/yaml, branch v3, and the real binary.
"""

from __future__ import annotations

from secretsvc.document.base import Value
from secretsvc.errors import ManifestError
from secretsvc.patterns import pattern

_STANDARD = "tag:yaml.org,2002:"
_LEAST_INT, _MOST_INT, _MOST_UINT = -(2**63), 2**63 - 1, 2**64 - 1
_LONGEST_NUMBER = 4096
"""Characters. Longer texts of digits are no numbers: Python's own bound for an int is of that kind."""

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), Value("null", b"")),
    **dict.fromkeys(("true", "True", "TRUE"), Value("bool", b"True")),
    **dict.fromkeys(("false", "False", "FALSE"), Value("bool", b"False")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), Value("float", b"NaN")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), Value("float", b"+Inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), Value("float", b"-Inf")),
}
IN_FLOATS = "0123456789.+-eE"
"""Characters that numbers are made of where Go and Python read them alike: neither words nor underscores."""
_FRACTION = pattern(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_TIME = pattern(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:([Tt ])([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?(Z|[-+][0-9]{2}:[0-9]{2})?)?"
)
_USUAL_TIME = "0000-00-00T00:00:00Z"
_AS_ZERO = str.maketrans("123456789", "000000000")
_IN_USUAL_TIME = ((0, 4), (5, 7), (8, 10), (10, 11), (11, 13), (14, 16), (17, 19))
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BASES = {"x": 16, "b": 2, "o": 8}


def typed(text: str, style: str = "", tag: str | None = None, line: int = 0) -> Value:
    """Return what a scalar is. `style`: as nodes have it; `tag`: as written, None for none.

    Raises ManifestError for what SOPS takes no file with: a number that only an unsigned integer holds, a tag that the
    text does not fit.
    """
    if tag is None:
        return Value("str", _bytes(text, line)) if style else plain(text, line)
    short = tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else ""
    if short == "binary":
        return Value("str", _decoded(text, line))
    if short not in ("int", "float", "bool", "null", "timestamp"):
        return Value("str", _bytes(text, line))
    value = plain(text, line)
    kind = {"timestamp": "time"}.get(short, short)
    if kind == "float" and value.kind == "int":
        return Value("float", value.text)
    if value.kind != kind:
        raise ManifestError(f"a text with the tag !!{short} that is none", hint="remove the tag", line=line)
    return value


def is_word(text: str) -> bool:
    """Tell by a look whether a plain scalar is a text, as nearly all keys are: letters first, and no word of YAML's."""
    return text[:1].isalpha() and text.isascii() and text not in _WORDS


def plain(text: str, line: int = 0) -> Value:
    """Return what a plain scalar is. Raises ManifestError, as `typed`."""
    word = _WORDS.get(text)
    if word is not None:
        return word
    first = text[0]
    found = None
    if first == "." and _FRACTION.fullmatch(text):
        found = _float(text.replace("_", ""))
    elif first in "+-0123456789" and len(text) <= _LONGEST_NUMBER:
        found = _time(text) or _number(text.replace("_", ""), line)
    return found or Value("str", _bytes(text, line))


def float_text(number: float) -> bytes:
    """Return a float's canonical text: the shortest digits that give it back, written out."""
    if number != number:  # noqa: PLR0124  the one value that is none
        return b"NaN"
    if number in (float("inf"), float("-inf")):
        return b"+Inf" if number > 0 else b"-Inf"
    text = repr(number)
    if "e" in text:
        from decimal import Decimal  # for few numbers only

        text = format(Decimal(text), "f")
    return text.removesuffix(".0").encode()


def spelled(value: Value) -> str:
    """Return a plain scalar that go-yaml reads as that value, for all kinds but texts and comments."""
    text = value.text.decode("ascii")
    if value.kind == "null":
        return "null"
    if value.kind == "bool":
        return text.lower()
    if value.kind == "float":
        return _spelled_float(text)
    return text


def _spelled_float(text: str) -> str:
    """As SOPS: `1` for 1.0, but for what would be no number, or another one."""
    special = {"NaN": ".nan", "+Inf": ".inf", "-Inf": "-.inf", "-0": "-0.0"}.get(text)
    if special:
        return special
    try:
        whole = "." not in text and len(text) >= len(str(2**53))
        return repr(float(text)) if whole or len(text) > len(str(_MOST_UINT)) + 2 else text
    except ValueError:
        return text


def _number(text: str, line: int) -> Value | None:
    number = _integer(text)
    if number is None:
        return _float(text)
    if _LEAST_INT <= number <= _MOST_INT:
        return Value("int", str(number).encode())
    if 0 <= number <= _MOST_UINT:
        what = "a whole number from 2^63 to 2^64, which SOPS can't seal"
        raise ManifestError(what, hint="quote it", line=line)
    return _float(text)


def _integer(text: str) -> int | None:
    """As Go's ParseInt with base 0, and go-yaml's own `0b` and `0o` with a sign behind."""
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    base = 10
    if len(digits) > 1 and digits[0] == "0":
        base = _BASES.get(digits[1].lower(), 8)
        digits = digits[2:] if base != 8 or digits[1] in "oO" else digits[1:]
        if digits[:1] in ("+", "-") and text[:2] in ("0b", "0o"):
            sign, digits = digits[0], digits[1:]
    if not digits or not digits.isascii() or not digits.isalnum():
        return None
    try:
        return int(sign + digits, base)
    except ValueError:
        return None


def _float(text: str) -> Value | None:
    try:
        number = float("" if text.strip(IN_FLOATS) else text)
    except ValueError:
        return None
    return None if number in (float("inf"), float("-inf")) else Value("float", float_text(number))


def _time(text: str) -> Value | None:
    """A time in RFC 3339, its fraction without zeros at the end, its offset kept. As Go's time.Parse takes it."""
    found = _parts_of_time(text)
    if not found:
        return None
    year, month, day = (int(part or 0) for part in found[:3])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1] + (leap and month == 2):
        return None
    mark, *clock, fraction, zone = found[3:]
    hour, minute, second = (int(part or 0) for part in clock)
    if hour > 23 or minute > 59 or second > 59 or bool(zone) != (mark in ("T", "t")):
        return None
    zone = _zone(zone or "Z")
    fraction = (fraction or "")[:9].rstrip("0")
    if zone is None:
        return None
    point = f".{fraction}" if fraction else ""
    return Value("time", f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{point}{zone}".encode())


def _parts_of_time(text: str) -> tuple[str | None, ...] | None:
    """Return the groups of `_TIME`; the usual form, which SOPS writes, needs no regular expression."""
    if text[4:5] != "-":
        return None
    if text.translate(_AS_ZERO) == _USUAL_TIME:
        return (*(text[at:end] for at, end in _IN_USUAL_TIME), None, "Z")
    found = _TIME.fullmatch(text)
    return found.groups() if found else None


def _zone(zone: str) -> str | None:
    if zone == "Z" or zone[1:] == "00:00":
        return "Z"
    return zone if int(zone[1:3]) <= 23 and int(zone[4:]) <= 59 else None


def _bytes(text: str, line: int) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ManifestError("half of a surrogate pair", hint="write both escapes", line=line) from None


def _decoded(text: str, line: int) -> bytes:
    from secretsvc.manifest.model import decode_base64

    try:
        return decode_base64(text)
    except ValueError:
        raise ManifestError("a text with the tag !!binary that is no base64", hint="mend it", line=line) from None
