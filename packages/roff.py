"""Text as roff's man macros, in what groff and mandoc both take without a warning (man 7 groff_man)."""

from __future__ import annotations

import re
import textwrap

_WIDTH = 64
"""Columns of the source's lines: `mandoc -Tlint` asks for fewer than 80 bytes."""
_MARKS = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
"""Characters that would come out as others, or as none; the hyphen as what can be copied into a shell."""


def escaped(text: str) -> str:
    """Return a line of text that reads as it stands: no character of it is an instruction."""
    marked = "".join(_MARKS.get(one) or (one if one.isascii() else f"\\[u{ord(one):04X}]") for one in text)
    return rf"\&{marked}" if marked.startswith(".") else marked


def prose(text: str) -> str:
    """Return a paragraph's lines, wrapped."""
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{escaped(line)}\n" for line in lines)


def heading(name: str) -> str:
    """Return the head of a section."""
    return f".SH {name}\n"


def title(name: str, section: int, date: str, source: str) -> str:
    """Return the first line of a page: its name, its section, its date (YYYY-MM-DD), and whose it is."""
    return f'.TH {escaped(name.upper())} {section} {date} "{escaped(source)}" "ksecret manual"\n'


def terms(described: dict[str, str]) -> str:
    """Return a list of terms (roff, as `bold` makes it), each with what is said of it."""
    return "".join(f".TP\n{term}\n{prose(text)}" for term, text in described.items())


def bold(text: str) -> str:
    """Return text to be typed as it is."""
    return rf"\fB{escaped(text)}\fR"


def italic(text: str) -> str:
    """Return a word that stands for another."""
    return rf"\fI{escaped(text)}\fR"


def example(command: str, about: str) -> str:
    """Return a command line, not to be wrapped, behind what it does."""
    told = prose(f"{about}:") if about else ""
    return f"{told}.RS 4\n.EX\n{escaped(command)}\n.EE\n.RE\n"


def examples(text: str) -> str:
    """Return the examples of a command's help: a command line each, and behind two spaces what it does."""
    found = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in text.splitlines()]
    return ".PP\n".join(example(one[0], one[1] if len(one) > 1 else "") for one in found)
