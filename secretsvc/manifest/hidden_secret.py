"""Ways in which a file may say `Secret` without the word standing in its bytes."""

from __future__ import annotations

from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap

_LETTERS = rb"(?:53|65|63|72|74|4[cC]|69|73)"  # of Secret and List
_BREAK = rb"(?:[\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9])"  # a line break of YAML 1.1 or 1.2
_HIDDEN = pattern(
    rb"\\(?:x|u00|U000000)" + _LETTERS  # an escape
    + rb"|[SecrtLi]\\" + _BREAK + rb"[ \t\r\n]*[\\ecrtLis]"  # a line that goes on after a backslash
    + rb"|!!binary|![^ \r\n!%]*%|!<|%TAG"  # a tag that may be !!binary: Go's YAML reads base64
    + rb"|S\0e\0|\\\0[xuU\r\n\x85()]|!\0[!<]\0|%\0T\0"  # the same in UTF-16
)  # fmt: skip

_SIGNS = (b"\\", b"!", b"%T", b"\0")
"""One of them is in whatever hides it: looked for first, because that takes next to no time."""


def may_be_hidden(content: bytes | mmap) -> bool:
    """Tell whether an escape, a tag or UTF-16 may hide the word."""
    return any(content.find(sign) >= 0 for sign in _SIGNS) and _HIDDEN.search(content) is not None
