"""The manual's pages as Markdown, from the man pages: the commands' words are written once, in their parsers."""

from __future__ import annotations

import re
from html import unescape

_CHARACTERS = {"e": "\\", "-": "-", "&": "", "(aq": "'", "(ga": "`", "(ha": "^", "(ti": "~", "(dq": '"'}
_ESCAPE = re.compile(r"\\(?:\[u([0-9A-F]{4,5})\]|f([BIR])|(\(..|.))")
_SEEN_ALSO = re.compile(r"`(ksecret[\w.-]*)`\((\d)\)")
"""Another page's name, whose Markdown stands beside this one's."""
_STYLED = re.compile(r"\\fB(.*?)\\fR|\\fI(.*?)\\fR")


def markdown(roff: str) -> str:
    """Return a man page as Markdown. Raises ValueError for a macro that `packages/roff.py` does not write."""
    return _SEEN_ALSO.sub(r"[`\1`(\2)](\1.md)", _Page(roff).text)


def plain(text: str) -> str:
    """Return a line of roff as what it reads."""
    return _ESCAPE.sub(lambda one: chr(int(one[1], 16)) if one[1] else "" if one[2] else _CHARACTERS[one[3]], text)


def _inline(text: str) -> str:
    """Return a line of roff as Markdown: what is typed as code, what stands for something else in italics."""
    parts, end = [], 0
    for found in _STYLED.finditer(text):
        parts.append(_safe(plain(text[end : found.start()])))
        word = plain(found[1] if found[1] is not None else found[2])
        parts.append(f"`{word}`" if found[1] is not None else f"*{_safe(word)}*")
        end = found.end()
    return "".join(parts) + _safe(plain(text[end:]))


def _safe(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", unescape(text))


class _Page:
    def __init__(self, roff: str) -> None:
        self.text = ""
        self._indent = ""
        self._is_term = self._is_opened = self._is_code = False
        for line in roff.splitlines():
            if line.startswith("."):
                self._macro(*line[1:].partition(" ")[::2])
            else:
                self._line(line)

    def _macro(self, name: str, words: str) -> None:
        if name == "TH":
            title, section = words.split()[:2]
            self.text += f"# {plain(title).lower()}({section})\n"
        elif name in ("SH", "SS"):
            self._indent = ""
            words = plain(words)
            if words != "NAME":  # its one line stands below the title
                self.text += f"\n## {words.capitalize()}\n\n" if name == "SH" else f"\n### {words}\n\n"
            else:
                self.text += "\n"
        elif name == "TP":
            self._is_term, self._indent = True, "    "
        elif name == "EX":
            self._is_code = True
            self.text += "\n```text\n"
        elif name == "EE":
            self._is_code = False
            self.text += "```\n"
        elif name == "br":
            self.text = self.text.removesuffix("\n") + "  \n"
        elif name == "PP":
            self.text += "\n"
        elif name not in ("RS", "RE"):
            raise ValueError(f"the macro .{name} is not known here")

    def _line(self, line: str) -> None:
        if self._is_code:
            self.text += f"{plain(line)}\n"
        elif self._is_term:
            self._is_term = False
            self._is_opened = True
            self.text += f"\n{_inline(line)}\n"
        elif self._is_opened:
            self._is_opened = False
            self.text += f":   {_inline(line)}\n"
        else:
            self.text += f"{self._indent}{_inline(line)}\n"
