"""Values of documents that have texts only (dotenv, INI), written as SOPS writes them."""

from __future__ import annotations

from secretsvc.document.base import Value

_FIXED = range(-4, 6)
"""Exponents of numbers that are written out: https://pkg.go.dev/strconv#FormatFloat, `G` with the shortest digits."""


def decoded(raw: bytes) -> str:
    """Return a name's text; bytes that are not UTF-8 are surrogates (PEP 383)."""
    return raw.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """Return the bytes of a name again, or of a text of the member's."""
    return text.encode("utf-8", "surrogateescape")


def text_of(value: Value) -> bytes:
    """Return a value's text: `true` for a boolean, `<nil>` for a null, `1.0` or `1.5E+08` for a float."""
    if value.kind == "null":
        return b"<nil>"
    if value.kind == "bool":
        return value.text.lower()
    return _float(value.text) if value.kind == "float" else value.text


def as_read(value: Value) -> Value:
    """Return what is read again of a value, once it is written."""
    return value if value.kind in ("str", "comment") else Value("str", text_of(value))


def _float(text: bytes) -> bytes:
    """The shortest digits, which the canonical text has, with an exponent as Go would write one."""
    sign = b"-" if text.startswith(b"-") else b""
    whole, _, fraction = text.removeprefix(b"-").partition(b".")
    digits = (whole + fraction).lstrip(b"0")
    if not digits or not digits.isdigit():
        return text + (b".0" if text in (b"0", b"-0") else b"")
    exponent = len(whole) - 1 if whole.strip(b"0") else len(digits) - len(fraction) - 1
    if exponent in _FIXED:
        return text if fraction else text + b".0"
    digits = digits.rstrip(b"0")
    point = b"." + digits[1:] if digits[1:] else b""
    return b"%s%s%sE%s%02d" % (sign, digits[:1], point, b"-" if exponent < 0 else b"+", abs(exponent))
