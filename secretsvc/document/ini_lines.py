"""The lines of an INI file → sections, pairs and comments with their places, as go-ini's parser.go cuts them."""

from __future__ import annotations

from secretsvc.document.base import MOST_LEAVES
from secretsvc.errors import ManifestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

DEFAULT = "DEFAULT"
"""The section of keys before any other."""

SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Blanks by Go's unicode.IsSpace; Python's own strip takes more."""

_DELIMITERS = "=:"
_MARKS = "#;"


class Piece:
    """One line's comment: from its mark to the line's last character that is no blank."""

    __slots__ = ("end", "inline", "start", "text_start")

    def __init__(self, text: str, start: int, end: int, *, inline: bool) -> None:
        self.start = start
        whole = text[start:end].rstrip(SPACE)
        self.end = start + len(whole)
        self.text_start = self.end - len(without_marks(whole))
        """Offset at which its text starts, behind the marks and blanks."""
        self.inline = inline


class Comment:
    """The comment of a key or a section: all lines above it, and what stands behind it, as one."""

    __slots__ = ("line", "pieces", "stands_outside", "text")

    def __init__(self, text: str, pieces: list[Piece], line: int, *, stands_outside: bool = False) -> None:
        self.pieces = pieces
        self.line = line
        """Of its first piece."""
        self.stands_outside = stands_outside
        """Whether it is no key's and stands above a section, or at the end of the file."""
        parts = [_until_break(text, piece) for piece in pieces]
        self.text = without_marks("".join(parts).strip(SPACE)).lstrip("\r\n")
        """As SOPS has it, but for what it could not write: a comment that starts with an empty line."""


class Pair:
    """One key and its value."""

    __slots__ = ("end", "key", "line", "line_end", "line_start", "shell", "start", "value")

    def __init__(self, key: str, line: int, line_start: int) -> None:
        self.key = key
        self.line = line
        self.line_start = line_start
        self.line_end = 0
        """Behind the line break of its last line."""
        self.value = ""
        self.shell = ""
        """Shell of the value: quotes, backticks, nothing; `\\` where it goes over lines that end so."""
        self.start = 0
        """Of what stands within the shell."""
        self.end = 0


Item: TypeAlias = "Pair | Comment"


class Section:
    """One section; the first has no header."""

    __slots__ = ("end", "items", "line", "name", "start")

    def __init__(self, name: str, line: int, start: int, end: int) -> None:
        self.name = name
        self.line = line
        self.start = start
        """Of the line of its header."""
        self.end = end
        """Behind its last pair, or its header."""
        self.items: list[Item] = []

    @property
    def pairs(self) -> list[Pair]:
        """Its keys, in order."""
        return [item for item in self.items if isinstance(item, Pair)]


class Lines:
    """Goes through the lines of a text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 0
        self._pieces: list[Piece] = []
        self._pieces_line = 0

    def sections(self, most: int = MOST_LEAVES) -> list[Section]:
        """All sections, of which there are no more than so many. Raises ManifestError, with a line."""
        found = [Section(DEFAULT, 1, 0, 0)]
        names: set[str] = set()
        while self._at < len(self._text):
            line_start = self._at
            start, end = self._next()
            if start == end:
                continue
            if self._text[start] in _MARKS:
                self._add_piece(start, end, inline=False)
            elif self._text[start] == "[":
                found.append(self._section(line_start, start, end))
                names = set()
                if len(found) > most:
                    raise ManifestError(f"more than {most} sections", hint="split the file", line=self._line)
            else:
                pair = self._pair(line_start, start, end)
                if pair.key in names:
                    what = "a key is there twice in its section, of which SOPS would keep the last"
                    raise ManifestError(what, hint="take one of the two out", line=pair.line)
                names.add(pair.key)
                found[-1].items += [pair, *self._comment()]
                found[-1].end = pair.line_end
        found[-1].items += self._comment(stands_outside=True)
        return found

    def _next(self) -> tuple[int, int]:
        """The next line, without the blanks that it starts with, and without its line break."""
        feed = self._text.find("\n", self._at)
        end = len(self._text) if feed < 0 else feed
        start = end - len(self._text[self._at : end].lstrip(SPACE))
        self._at = min(end + 1, len(self._text))
        self._line += 1
        return start, end

    def _add_piece(self, start: int, end: int, *, inline: bool) -> None:
        self._pieces_line = self._pieces_line if self._pieces else self._line
        self._pieces.append(Piece(self._text, start, end, inline=inline))

    def _comment(self, *, stands_outside: bool = False) -> Iterator[Comment]:
        if self._pieces:
            yield Comment(self._text, self._pieces, self._pieces_line, stands_outside=stands_outside)
            self._pieces = []

    def _section(self, line_start: int, start: int, end: int) -> Section:
        close = self._text.rfind("]", start, end)
        if close < 0:
            raise ManifestError("a section without a closing bracket", hint="[name]", line=self._line)
        section = Section(self._text[start + 1 : close], self._line, line_start, self._at)
        if not section.name:
            raise ManifestError("a section without a name", hint="[name]", line=self._line)
        self._inline(close + 1, end)
        section.items += self._comment(stands_outside=True)
        return section

    def _inline(self, start: int, end: int) -> int:
        """The comment behind something on its line. Returns where it starts; `end` where there is none."""
        marks = [at for mark in _MARKS if (at := self._text.find(mark, start, end)) >= 0]
        if not marks:
            return end
        self._add_piece(min(marks), end, inline=True)
        return min(marks)

    def _pair(self, line_start: int, start: int, end: int) -> Pair:
        line = self._line
        quote = _quote_of_key(self._text[start:end])
        key_start = start + len(quote)
        key_end = self._text.find(quote, key_start, end) if quote else start
        if key_end < 0:
            raise ManifestError("a key without its closing quote", hint="KEY = VALUE", line=line)
        delimiters = [at for one in _DELIMITERS if (at := self._text.find(one, key_end + len(quote), end)) >= 0]
        if not delimiters:
            raise ManifestError("a line without `=` or `:`", hint="KEY = VALUE; comments start with ; or #", line=line)
        pair = Pair(self._text[key_start : key_end if quote else min(delimiters)].strip(SPACE), line, line_start)
        if pair.key in ("", "-"):
            raise ManifestError("a key that SOPS could not write again", hint="give it a name", line=line)
        self._value(pair, min(delimiters) + 1, end)
        pair.line_end = self._at
        return pair

    def _value(self, pair: Pair, start: int, end: int) -> None:
        text = self._text
        pair.start = pair.end = start
        start = end - len(text[start:end].lstrip(SPACE))
        if start == end:
            return
        for quote in ('"""', "`"):
            if text.startswith(quote, start, end) and (quote == "`" or self._at > start + len(quote)):
                self._quoted(pair, quote, start + len(quote), end)
                return
        whole = text[start:end].rstrip(SPACE)
        if whole.endswith("\\"):
            self._continued(pair, whole[:-1], start)
            return
        stop = self._inline(start, start + len(whole))
        value = text[start:stop].rstrip(SPACE)
        pair.start, pair.end = start, start + len(value)
        if _is_quoted(value):
            pair.shell, pair.start, pair.end, value = value[0], start + 1, pair.end - 1, value[1:-1]
        pair.value = value

    def _quoted(self, pair: Pair, quote: str, start: int, end: int) -> None:
        """Up to the last such quote of the first line that has one."""
        pair.shell, pair.start = quote, start
        close, line_start = self._text.rfind(quote, start, end), start
        while close < 0:
            if self._at >= len(self._text):
                raise ManifestError("a value without its closing quote", hint="close it", line=pair.line)
            line_start = self._at
            _, end = self._next()
            close = self._text.rfind(quote, line_start, end)
        pair.end, pair.value = close, self._text[start:close]
        stop = self._inline(close + len(quote), end)
        if self._text[close + len(quote) : stop].strip(SPACE):
            raise ManifestError(
                "text behind a closing quote, which SOPS would drop", hint="take it out", line=self._line
            )

    def _continued(self, pair: Pair, value: str, start: int) -> None:
        """Lines joined, each without the backslash at its end. No comment starts in them."""
        pair.shell, pair.start = "\\", start
        last = start + len(value) + 1
        while self._at < len(self._text):
            at, end = self._next()
            more = self._text[at:end].rstrip(SPACE)
            last = at + len(more) if more else last
            value += more
            if not more or not value.endswith("\\"):
                break
            value = value[:-1]
        pair.value, pair.end = value, last


def without_marks(comment: str) -> str:
    """Return a comment's text: without the marks and blanks that it starts with."""
    if comment.startswith(("#", ";")):
        return comment.lstrip(comment[0] + " ")
    return comment


def _until_break(text: str, piece: Piece) -> str:
    """A comment's line with its line break, as those of one comment are joined."""
    feed = text.find("\n", piece.end)
    return text[piece.start :] if feed < 0 else text[piece.start : feed + 1]


def _quote_of_key(line: str) -> str:
    if line.startswith('"'):
        return '"""' if len(line) >= 6 and line.startswith('"""') else '"'
    return "`" if line.startswith("`") else ""


def _is_quoted(value: str) -> bool:
    return len(value) >= 2 and value[0] in "'\"" and value.find(value[0], 1) == len(value) - 1
