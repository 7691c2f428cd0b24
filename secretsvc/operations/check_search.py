"""A search for bytes that may hold a Secret, or an age identity: before anything is parsed, of any file, however large.

Each search begins with a word, as it stands in nearly all files, which takes next to no time. Only where that leaves it
open is a pattern tried.
"""

from __future__ import annotations

from secretsvc.manifest.hidden_secret import may_be_hidden
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap

# In a text in quotes the letter before may be an escape's: `\ndata:`.
_WORD = pattern(
    rb"""Secret(?:(?<![A-Za-z0-9]Secret)|(?<=\\[nrt]Secret))(?:List)?["'`]?[ \t]*(?:[]:,{}\r\n#\\\xc2\xe2]|\Z)"""
)
_AS_USUAL = b": Secret\n"
"""One of the ways to stand there as a whole word."""
_IN_OTHER_LETTERS = pattern(rb"""[Kk](?i:ind)["']?[ \t]*:[ \t\r\n]*["']?(?!Secret\b)(?i:secret)\b""")
_FIELD = pattern(rb"[DdSs](?:(?<=[Dd])(?:(?<![A-Za-z].)|(?<=\\[nrt].))(?i:ata)|(?<=[Ss])(?i:tring)[-_]?(?i:data))")
_IDENTITY = pattern(rb"AGE-SECRET-KEY-(?:PQ-)?1[02-9AC-HJ-NP-Z]{58}")
"""An age identity whole (Bech32 in capitals: https://age-encryption.org/v1, "The X25519 recipient type")."""
_IDENTITY_START = b"AGE-SECRET-KEY-"
_KIND, _SECRET = b"kind", b"secret"
_BETWEEN = b"\"' \t\r\n:"
"""What may stand between them."""
_LONGEST_LINE = 200
"""Bytes that are looked at before a word, for where its line starts."""
_MARKERS = tuple(sign * 7 for sign in (b"<", b"|", b"=", b">"))
_LOOKED_AT = 64
"""Bytes behind `kind`, of which the first few are the value nearly always."""


def may_hold_secret(content: bytes | mmap) -> bool:
    """Tell whether `Secret` stands there as a whole word, as after `kind:`, in other letters, or may be hidden."""
    if content.find(_AS_USUAL) >= 0:
        return True
    if any(not _is_prose(content, found.start()) for found in _WORD.finditer(content)):
        return True
    return is_in_other_letters(content) or may_be_hidden(content)


def _is_prose(content: bytes | mmap, at: int) -> bool:
    """Tell whether a word is in a comment's line, or follows another one: `The Secret` is the value of no `kind:`."""
    start = content.rfind(b"\n", max(0, at - _LONGEST_LINE), at) + 1
    before = content[start:at] if start or at < _LONGEST_LINE else b""
    words = before.split()
    if not words or not (words[0].startswith(b"#") or (words[-1].isalpha() and before.endswith(b" "))):
        return False
    has_line_breaks = b"\r" in before or b"\xc2\x85" in before or b"\xe2\x80" in before  # to one parser or another
    return not (has_line_breaks or b"{{" in before or b"$" in before)  # or what a template may put some in place of


def holds_identity(content: bytes | mmap) -> bool:
    """Tell whether an age identity stands there, in the clear."""
    return content.find(_IDENTITY_START) >= 0 and _IDENTITY.search(content) is not None


def is_in_other_letters(content: bytes | mmap) -> bool:
    """Tell whether it says `kind: secret`, or `SECRET`."""
    if isinstance(content, bytes) and not _may_be_in_other_letters(content):
        return False
    return _IN_OTHER_LETTERS.search(content) is not None


def _may_be_in_other_letters(content: bytes) -> bool:
    lowered = content.lower()
    at = lowered.find(_KIND)
    while at >= 0:
        at += len(_KIND)
        value = content[at : at + _LOOKED_AT].lstrip(_BETWEEN)[: len(_SECRET)]
        if len(value) < len(_SECRET) or (value.lower() == _SECRET and value != b"Secret"):
            return True
        at = lowered.find(_KIND, at)
    return False


def may_be_in_conflict(content: bytes) -> bool:
    """Tell whether one of Git's conflict markers may stand there: seven signs or more."""
    return any(content.find(marker) >= 0 for marker in _MARKERS)


def may_hold_more(content: bytes, known: int) -> bool:
    """Tell whether it says `Secret` more often than `known` Secrets do, and has a field that would hold values."""
    if content.count(b"Secret") <= known:
        return False
    return _FIELD.search(content) is not None and len(_WORD.findall(content)) > known
