"""Starts and ends of lines."""

from __future__ import annotations


def line_start(text: str, at: int) -> int:
    """Return where the line of `at` starts."""
    return text.rfind("\n", 0, at) + 1


def line_end(text: str, at: int) -> int:
    """Return the place after the line break that ends the line of `at`; `at` itself where a line starts there."""
    if at and text[at - 1] == "\n":
        return at
    feed = text.find("\n", at)
    return feed + 1 if feed >= 0 else len(text)


def without_break(text: str, end: int) -> int:
    """`end` moved before the line break that stands there."""
    return end - (2 if text.endswith("\r\n", 0, end) else text.endswith("\n", 0, end))
