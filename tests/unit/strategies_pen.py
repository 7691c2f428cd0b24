"""The pen that manifests are written with, and the words it picks from."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

Draw = Any
Kind = Literal["keep", "value", "body", "blank"]

WORDS = [
    *("p@ss", "é", "日本語", "🔐", "it's", "x=1", "a/b", "100%", "-dash", "tail-", "back\\slash", "$HOME", "{{x}}"),
    *("&amp", "*star", "!bang", "|pipe", ">gt", "@at", "`tick", '"q"', "#hash", "a#b", "a:", "k:v", "-", "---", "..."),
    *("null", "ksecret:", "%d", "?q", ",", "[x]", "~", "''", "\\n", "\\", '"', "'", "<<", "0", "y", "ksecret", "\xa0"),
]
COMMENTS = [
    "# note",
    "#",
    "# --- not a marker",
    "# data: é 日本",
    "#kubesec",
    "# 'quote",
    '# "quote',
    "# {brace",
    "## | >",
]
KEYS = [
    *("password", "tls.crt", "a", "b", ".dockerconfigjson", "_x", "-dash", "123", "true", "null", "data", "stringData"),
    *("kind", "metadata", "ksecret", "1.5", "y", "k" * 60, "A-b_c.d", "-x"),
]
NOT_STRINGS = re.compile(
    r"[-+.]?[0-9][-+._0-9a-fA-FxXoO]*|(?i:true|false|yes|no|on|off|y|n|null|~|<<|=|[-+]?\.inf|\.nan)|"
)
CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp"), exclude_characters="\ufeff \xad"
)
TEXT = st.text(CHARACTERS, min_size=1, max_size=6)
BINARY = st.binary(max_size=40)
ESCAPES = [
    *(r"\0", r"\a", r"\b", r"\t", r"\n", r"\v", r"\f", r"\r", r"\e", r"\ ", r"\"", r"\\", r"\N", r"\_", r"\L", r"\P"),
    *(r"\x41", r"\x00", r"\u00e9", r"\u2028", r"\uFEFF", r"\U0001F510"),
]
JSON_ESCAPES = [
    *(r"\"", r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u0000", r"\u00e9", r"\u2028", r"\uFEFF"),
    *(r"\u0085", r"\u0041", r"\ud83d\udd10"),
]


def plain_fits(text: str, *, flow: bool) -> bool:
    """Whether the text may stand without quotes and be a string to everybody."""
    if NOT_STRINGS.fullmatch(text) or text != text.strip() or text[0] in "&*!|>'\"%@`#,[]{}":
        return False
    if text[0] in "-?:" and (len(text) == 1 or text[1] in " \t"):
        return False
    if re.search(r":(\s|$)|[ \t]#", text):
        return False
    return not (flow and re.search(r"[\[\]{},:?]", text))


@lru_cache(None)
def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


class Pen:
    """Writes one text from left to right."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.pieces: list[tuple[Kind, str]] = []
        self.sealing = False
        self.wrote_values = False
        self.sealable = 0
        self.marks = 0
        self.no_tab = False
        self.comment_limit = 60
        """The last column at which a comment is no part of the block scalar before it."""
        self.blank_limit = 60
        """The same for a line of blanks, where it must not be a part."""

    # -- choices
    def pick(self, options: list[Any]) -> Any:
        return options[self.number(0, len(options) - 1)]

    def number(self, low: int, high: int) -> int:
        return low if high <= low else int(self.draw(_integers(low, high)))

    def chance(self, one_in: int) -> bool:
        return self.number(1, one_in) == one_in

    def shuffled(self, items: list[Any]) -> list[Any]:
        left = list(items)
        return [left.pop(self.number(0, len(left) - 1)) for _ in items]

    def some(self, items: list[Any], most: int) -> list[Any]:
        left = list(items)
        return [left.pop(self.number(0, len(left) - 1)) for _ in range(self.number(0, most))]

    def names(self) -> list[str]:
        """Keys for a mapping of values, seldom none."""
        return [] if self.chance(8) else self.some(KEYS, 3) or ["password"]

    # -- pieces
    def keep(self, text: str) -> None:
        self.pieces.append(("keep", text))

    def value(self, text: str) -> None:
        self.wrote_values |= self.sealing
        self.pieces.append(("value" if self.sealing else "keep", text))

    def body(self, text: str) -> None:
        """A block scalar's."""
        self.value(text)
        if self.sealing:
            self.pieces[-1] = ("body", text)

    # -- words
    def mark(self) -> str:
        self.marks += 1
        return f"Zq{self.marks:04}mark"

    def words(self, most: int = 4) -> list[str]:
        found = [self.mark()]
        for _ in range(self.number(0, most - 1)):
            kind = self.number(0, 2)
            found.append(self.draw(TEXT) if kind == 2 else self.pick(WORDS))
        return self.shuffled(found)

    def base64(self, most: int = 40) -> str:
        content = self.draw(BINARY)
        text = b64encode(((self.mark().encode() if self.chance(2) else b"") + content)[:most]).decode()
        if text.endswith("==") and self.chance(8):
            spare = {"A": "B", "Q": "R", "g": "h", "w": "x"}[text[-3]]  # legal for Go: bits that count for nothing
            text = text[:-3] + spare + "=="
        return text

    # -- what stands between things
    def trail(self) -> str:
        """What may follow on a finished line, its end included."""
        tab = [] if self.no_tab else ["\t# after a tab"]  # libyaml takes none behind an explicit key's colon or a dash
        self.no_tab = False
        return str(self.pick(["", "", "", " ", "  # after", " #", *tab])) + "\n"

    def filler(self) -> None:
        for _ in range(self.number(0, 2) if self.chance(3) else 0):
            if self.chance(2):
                line = " " * self.number(0, min(9, self.blank_limit)) + "\n" if self.chance(2) else "\n"
                self.keep(line)
            else:
                self.keep(" " * self.number(0, min(9, self.comment_limit)) + self.pick(COMMENTS) + "\n")

    def fold(self, *, least: int, most: int = 12) -> str:
        """A line break inside a scalar, with blank lines and the next line's indentation."""
        blanks = "".join(self.pick(["\n", "  \n"]) for _ in range(self.number(0, 2) if self.chance(3) else 0))
        return "\n" + blanks + " " * self.number(least, most)


def unsealed(pen: Pen, write: Callable[[int], None]) -> Callable[[int], None]:
    """The same, as no part of a Secret's values."""

    def kept(column: int) -> None:
        before, pen.sealing = pen.sealing, False
        write(column)
        pen.sealing = before

    return kept


def sealing(pen: Pen, write: Callable[[int], None]) -> Callable[[int], None]:
    def sealed(column: int) -> None:
        pen.sealing = True
        write(column)
        pen.sealing = False

    return sealed


def count_secret(pen: Pen, write: Callable[[], None]) -> None:
    pen.wrote_values = False
    write()
    pen.sealable += pen.wrote_values
