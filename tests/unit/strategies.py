"""Manifests in every style that people write them in, written as text, with each value's place known from the start.

Nothing here goes through a YAML or JSON dumper: those write in one style only.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hypothesis import strategies as st

from tests.support import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Draw = Any
Kind = Literal["keep", "value", "body", "blank"]

# Not `\s`: a value may be made of white space that is none to YAML.
_BLOCK_ENVELOPE = (
    r"(?m)^(?P<i> *)ksecret:\r?\n(?P=i) +version: 1\r?\n(?P=i) +sealedFor: \S+\r?\n(?P=i) +created: \S+\r?\n"
    r"(?P=i) +keys:\r?\n(?:(?P=i) +[a-z]+:\S+: \S+\r?\n)+(?P=i) +seal: \S+(?:\r?\n|\Z)"
)
_FLOW_ENVELOPE = r',[ \t\r\n]*"ksecret": ?\{[ \t\r\n]*"version": ?1,[^{}]*\{[^{}]*\}[^{}]*\}'


class Written(NamedTuple):
    """A manifest as pieces: text that must stay, a value's inside, and blank lines that may belong to one."""

    pieces: tuple[tuple[Kind, str], ...]
    bom: bool
    sealable: int
    """Secrets with values in it."""
    values: tuple[str, ...]
    """The insides of the values."""

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.pieces)

    @property
    def data(self) -> bytes:
        return (b"\xef\xbb\xbf" if self.bom else b"") + self.text.encode()

    def is_shape_of(self, sealed: str) -> bool:
        """Whether `sealed` is this text with each value replaced by one token, and one envelope per Secret."""
        bare, envelopes = without_envelopes(sealed)
        pattern = "".join(map(_pattern, self.pieces)) + ("" if self.text.endswith("\n") else r"(?:\r?\n)?")
        return envelopes == self.sealable and re.fullmatch(pattern, bare) is not None

    def __repr__(self) -> str:
        return f"Written({self.data!r})"


def without_envelopes(sealed: str) -> tuple[str, int]:
    """The text with its envelopes cut out, by their looks alone, and how many there were."""
    bare, in_block = re.subn(_BLOCK_ENVELOPE, "", sealed)
    bare, in_flow = re.subn(_FLOW_ENVELOPE, "", bare)
    return bare, in_block + in_flow


def _pattern(piece: tuple[Kind, str]) -> str:
    kind, text = piece
    if kind == "keep":
        return re.escape(text)
    if kind in ("value", "body"):
        return f" *{TOKEN}"
    return "".join(f"(?:{re.escape(line)})?" for line in text.splitlines(keepends=True))


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


# -- scalars ----------------------------------------------------------------------------------------------------------


def single_quoted(pen: Pen, words: list[str], *, fold_at: int | None) -> str:
    out = [pen.pick(["", "", " "])]
    for index, word in enumerate(words):
        if index:
            folded = fold_at is not None and pen.chance(2)
            out.append(pen.pick(["", " ", "\t"]) + pen.fold(least=fold_at or 0) if folded else pen.pick([" ", "  "]))
        out.append(word.replace("'", "''"))
    return "".join(out) + str(pen.pick(["", "", " "]))


def double_quoted(pen: Pen, words: list[str], *, fold_at: int | None) -> str:
    out = [pen.pick(["", "", " "])]
    for index, word in enumerate(words):
        if index and fold_at is not None and pen.chance(2):
            out.append(pen.pick(["", " ", " \\", "\\n\\"]) + pen.fold(least=fold_at) + pen.pick(["", "\\ ", "\\t"]))
        elif index:
            out.append(pen.pick([" ", "  ", "\\n", " \\\\ "]))
        out.append(pen.pick(ESCAPES) if pen.chance(6) else escaped(pen, word))
    return "".join(out)


def escaped(pen: Pen, word: str) -> str:
    how = pen.number(0, 5)
    return "".join(f"\\{c}" if c in '"\\' else f"\\u{ord(c):04x}" if how == 5 and ord(c) < 0x10000 else c for c in word)


def plain(pen: Pen, words: list[str], *, flow: bool, fold_at: int | None) -> str | None:
    """The words without quotes, or None where they can't stand so."""
    if not plain_fits(" ".join(words), flow=flow):
        return None
    out = words[0]
    for word in words[1:]:
        fold = fold_at is not None and pen.chance(2) and not word.startswith("#")
        out += pen.fold(least=fold_at or 0) if fold else pen.pick([" ", "   "])
        out += word
    return out


def quoted_or_plain(pen: Pen, field: str, *, flow: bool, column: int, folds: bool) -> tuple[str, str]:
    """Quote and inside of a value of `field` in a mapping at `column`."""
    if pen.chance(10):
        return pen.pick(["'", '"']), ""
    style = pen.pick(["", "'", '"'])
    if field == "data":
        text = pen.base64()
        if style == '"' and folds and len(text) > 8 and pen.chance(2):
            cut = pen.number(1, len(text) - 1)
            return '"', text[:cut] + "\\\n" + " " * pen.number(column + 1, 14) + text[cut:]
        return (style if style or (text and not NOT_STRINGS.fullmatch(text)) else '"'), text
    words = pen.words()
    fold_at = column + 1 if folds and pen.chance(2) else None
    if style == "":
        text_or_none = plain(pen, words, flow=flow, fold_at=fold_at)
        if text_or_none is not None:
            return "", text_or_none
    if style == "'":
        return "'", single_quoted(pen, words, fold_at=fold_at)
    return '"', double_quoted(pen, words, fold_at=fold_at)


def block_scalar(pen: Pen, field: str, column: int) -> None:
    """Header, body and what trails it, behind `key:` in a block mapping at `column`."""
    style = "|" if field == "data" else pen.pick(["|", "|", ">"])
    step = pen.number(1, 8)
    digit = str(step) if pen.chance(3) else ""
    chomp = pen.pick(["", "-", "+"])
    pen.keep(style + pen.pick([digit + chomp, chomp + digit]) + pen.trail())
    indent = " " * (column + step)
    body = pen.chance(12) and [""] * pen.number(1, 3)
    if not body:
        body = base64_lines(pen, indent) if field == "data" else body_lines(pen, indent, digit=bool(digit))
    pen.body("\n".join(body))
    pen.keep("\n")
    pen.comment_limit = column + step - 1 if any(line.strip() for line in body) else column
    pen.blank_limit = column + step if field == "data" else 60
    for _ in range(pen.number(0, 3) if pen.chance(3) else 0):
        pen.keep(pen.pick(["\n", "\n", indent + "\n", indent[1:] + "\n"]))


def base64_lines(pen: Pen, indent: str) -> list[str]:
    text = pen.base64(50) or "AAAA"
    width = pen.pick([4, 16, 64, 1000])
    return [indent + text[at : at + width] for at in range(0, len(text), width)]


def body_lines(pen: Pen, indent: str, *, digit: bool) -> list[str]:
    lines: list[str] = []
    for _ in range(pen.number(0, 2) if pen.chance(4) else 0):
        lines.append(indent[: pen.number(0, len(indent))])
    for number in range(pen.number(1, 4)):
        lead = pen.pick(["", "", "", " ", "   ", "\t"]) if number or digit else ""
        lines.append(indent + lead + " ".join(pen.words()) + pen.pick(["", "", " ", "\t"]))
        if pen.chance(5):
            lines.append(pen.pick(["", indent, indent[1:], indent + "  ", indent + "\t"]))
    while not lines[-1].strip():
        lines.pop()
    return lines


# -- block style ------------------------------------------------------------------------------------------------------


def key_text(pen: Pen, name: str) -> str:
    style = pen.pick(["", "", "", "'", '"'])
    if style == '"' and pen.chance(2):
        return f'"\\x{ord(name[0]):02x}{name[1:]}"'
    return f"{style}{name}{style}" if style or plain_fits(name, flow=True) else f'"{name}"'


def block_key(pen: Pen, name: str, column: int, *, inline: bool) -> None:
    """A member's key up to and with its colon. `inline`: the indentation is on the line already."""
    if not inline:
        pen.keep(" " * column)
    text = key_text(pen, name)
    if pen.chance(12):
        pen.keep("?" + " " * pen.number(1, 3) + text + pen.trail())
        pen.comment_limit = pen.blank_limit = 60
        pen.filler()
        pen.keep(" " * column + ":")
        pen.no_tab = True
    else:
        pen.keep(text + pen.pick(["", "", "", " "]) + ":")
        pen.no_tab = False
    pen.comment_limit = pen.blank_limit = 60


def block_value(pen: Pen, field: str, column: int) -> None:
    """A value behind a block mapping's colon, to the end of its line."""
    if pen.chance(3):
        pen.keep(pen.pick([" ", " ", "   "]))
        block_scalar(pen, field, column)
        pen.filler()
        return
    if pen.chance(8):
        pen.keep(pen.trail())
        pen.filler()
        pen.keep(" " * pen.number(column + 1, 14))
    else:
        pen.keep(pen.pick([" ", " ", "  "]))
    quote, text = quoted_or_plain(pen, field, flow=False, column=column, folds=True)
    pen.keep(quote)
    pen.value(text)
    pen.keep(quote + pen.trail())
    pen.filler()


def block_mapping(pen: Pen, members: list[tuple[str, Callable[[int], None]]], column: int, *, inline: bool) -> None:
    for index, (name, write) in enumerate(members):
        block_key(pen, name, column, inline=inline and not index)
        write(column)


def entries(pen: Pen, field: str) -> Callable[[int], None]:
    """Writes a mapping of values behind its key."""

    def write(parent: int) -> None:
        names = pen.names()
        if not names or pen.chance(6):
            pen.keep(" ")
            flow_entries(pen, field, names, column=parent, dialect=FLOW)
            pen.keep(pen.trail())
        else:
            pen.keep(pen.trail())
            pen.filler()
            members = [(name, lambda column: block_value(pen, field, column)) for name in names]
            block_mapping(pen, members, parent + pen.pick([1, 2, 2, 3, 4, 8]), inline=False)
        pen.filler()

    return write


def unsealed(pen: Pen, write: Callable[[int], None]) -> Callable[[int], None]:
    """The same, as no part of a Secret's values."""

    def kept(column: int) -> None:
        before, pen.sealing = pen.sealing, False
        write(column)
        pen.sealing = before

    return kept


def line(pen: Pen, *texts: str) -> Callable[[int], None]:
    """Writes one of these texts behind a key."""

    def write(column: int) -> None:
        text = pen.pick(list(texts))
        pen.keep((" " + text if text else "") + pen.trail())
        pen.filler()

    return write


def rest_of_root(pen: Pen) -> list[tuple[str, Callable[[int], None]]]:
    """Members that a Secret may have beside its identity and values."""
    every = {
        "immutable": line(pen, "true", "!!bool 'true'", ""),
        "type": line(pen, "Opaque", '"example.com/odd"', "kubernetes.io/tls", "''", "null"),
        "note": line(pen, "[a,\n   b]", "{a: b,\n # c\n}", "'x\n\n  y'", "a\n           b", "&anchor x", "!!str", '""'),
        "status": lambda column: block_list(pen, column),
        "extra": unsealed(pen, entries(pen, "stringData")),
    }
    return [(name, every[name]) for name in pen.some(list(every), 2)]


def block_list(pen: Pen, column: int) -> None:
    pen.keep("\n")
    lead = " " * (column + pen.pick([0, 2]))
    for _ in range(pen.number(1, 2)):
        pen.keep(lead + "- " + pen.pick(["x", "{a: b}", "- y", "k: v", "'q'"]) + pen.trail())


def metadata(pen: Pen) -> Callable[[int], None]:
    name = pen.pick(["db-auth", "a", "web.tls", '"quoted"', "'1'"])
    space = pen.pick(["prod", '"7"', "default"])

    def write(parent: int) -> None:
        if pen.chance(5):
            pen.keep(f" {{name: {name}, namespace: {space}}}" + pen.trail())
            pen.filler()
            return
        pen.keep(pen.trail())
        pen.filler()
        others = {
            "namespace": line(pen, space),
            "labels": line(pen, "", "{}", "{app: web}", "&l {app: web}"),
            "annotations": unsealed(pen, entries(pen, "stringData")),
            "finalizers": lambda column: block_list(pen, column),
            "creationTimestamp": line(pen, "null", "", '"2026-11-23T03:10:20Z"'),
        }
        chosen = pen.some(list(others), 3)
        members = [("name", line(pen, name)), *((other, others[other]) for other in chosen)]
        block_mapping(pen, pen.shuffled(members), parent + pen.pick([1, 2, 2, 4, 8]), inline=False)

    return write


def block_secret(pen: Pen, column: int, *, inline: bool, kind: bool = True) -> None:
    fields = [field for field in ("data", "stringData") if pen.chance(2)] or ["stringData"]
    members = [
        *([("apiVersion", line(pen, "v1", '"v1"')), ("kind", line(pen, "Secret", "'Secret'"))] if kind else []),
        ("metadata", metadata(pen)),
        *((field, sealing(pen, entries(pen, field))) for field in fields),
        *rest_of_root(pen),
    ]
    count_secret(pen, lambda: block_mapping(pen, pen.shuffled(members), column, inline=inline))


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


def config_map(pen: Pen, column: int, *, inline: bool) -> None:
    members = [
        ("apiVersion", line(pen, "v1")),
        ("kind", line(pen, "ConfigMap")),
        ("metadata", line(pen, "{name: x}")),
        ("data", entries(pen, "stringData")),
    ]
    block_mapping(pen, pen.shuffled(members), column, inline=inline)


def block_list_of_secrets(pen: Pen, column: int, *, inline: bool) -> None:
    typed = pen.chance(3)

    def items(parent: int) -> None:
        pen.keep(pen.trail())
        dash = parent + pen.pick([0, 0, 1, 2, 4])
        for _ in range(pen.number(1, 3)):
            pen.filler()
            pen.keep(" " * dash + "-")
            list_item(pen, dash, typed)

    members = [
        ("apiVersion", line(pen, "v1")),
        ("kind", line(pen, "SecretList" if typed else "List")),
        ("items", items),
        *([("metadata", line(pen, "{}", ""))] if pen.chance(2) else []),
    ]
    block_mapping(pen, pen.shuffled(members), column, inline=inline)


def list_item(pen: Pen, dash: int, typed: bool) -> None:
    if pen.chance(5):
        pen.keep(" ")
        flow_secret(pen, FLOW, kind=not typed or pen.chance(2))
        pen.keep(pen.trail())
        return
    gap = pen.number(1, 4)
    column = dash + 1 + gap
    inline = not pen.chance(4)
    pen.no_tab = not inline
    pen.keep(" " * gap if inline else pen.trail())
    if typed or pen.chance(2):
        block_secret(pen, column, inline=inline, kind=not typed or pen.chance(2))
    else:
        config_map(pen, column, inline=inline)


# -- flow style and JSON ----------------------------------------------------------------------------------------------


class Dialect(NamedTuple):
    """How brackets are filled: `json`, and the white space of one that is laid out in one way throughout."""

    json: bool
    newline: str = ""
    unit: str = ""
    comma: str = ","
    colon: str = ":"
    pairs: bool = True
    """Whether characters may be written as pairs of escapes, which YAML has not."""


FLOW = Dialect(False)
JSONS = [
    Dialect(True),
    Dialect(True, comma=", ", colon=": "),
    *(Dialect(True, "\n", unit, colon=": ") for unit in ("  ", "    ", "\t", "")),
    Dialect(True, "\n", " ", colon=":"),
    Dialect(True, "\n\n", "   ", colon=" :\t"),
]


def flow_mapping(pen: Pen, members: list[tuple[str, Callable[[int], None]]], depth: int, dialect: Dialect) -> None:
    """`{…}`; the writers get the depth."""
    many = not dialect.json and pen.chance(3)
    pen.keep("{")
    for index, (name, write) in enumerate(members):
        if dialect.json:
            pen.keep(dialect.comma if index else "")
            pen.keep(dialect.newline + dialect.unit * (depth + 1) if dialect.newline else "")
            pen.keep((json.dumps(name) if not pen.chance(8) else f'"\\u{ord(name[0]):04x}{name[1:]}"') + dialect.colon)
        else:
            pen.keep(("," if index else "") + flow_gap(pen, many))
            key = key_text(pen, name)
            pen.keep(key + (": " if key[0] not in "'\"" or pen.chance(2) else ":"))
        write(depth + 1)
    if dialect.json:
        pen.keep(dialect.newline + dialect.unit * depth if dialect.newline and members else "")
    else:
        pen.keep(pen.pick(["", "", ",", " ,"]) * bool(members) + flow_gap(pen, many))
    pen.keep("}")


def flow_gap(pen: Pen, many: bool) -> str:
    if not many:
        return str(pen.pick(["", " ", " ", "  "]))
    comment = str(pen.pick(["", "", "", " # in a flow", "   "]))
    blank = str(pen.pick(["", "", "", "\n", "   \n"]))
    return comment + "\n" + blank + " " * pen.number(1, 12)


def flow_entries(pen: Pen, field: str, names: list[str], *, column: int, dialect: Dialect) -> None:
    """A flow mapping of values."""

    def write(depth: int) -> None:
        quote, text = quoted_or_plain(pen, field, flow=True, column=column, folds=True)
        pen.keep(quote)
        pen.value(text)
        pen.keep(quote)

    def write_json(depth: int) -> None:
        pen.keep('"')
        pen.value(json_inside(pen, field, dialect))
        pen.keep('"')

    flow_mapping(pen, [(name, write_json if dialect.json else write) for name in names], column, dialect)


def json_inside(pen: Pen, field: str, dialect: Dialect) -> str:
    if pen.chance(10):
        return ""
    if field == "data":
        return pen.base64().replace("/", pen.pick(["/", "\\/"])).replace("=", pen.pick(["=", "\\u003d"]))
    ascii_only = dialect.pairs and pen.chance(3)
    escapes = JSON_ESCAPES if dialect.pairs else JSON_ESCAPES[:-1]
    words = (pen.pick(escapes) if pen.chance(6) else json.dumps(w, ensure_ascii=ascii_only)[1:-1] for w in pen.words())
    return str(pen.pick([" ", "\\n", "  "])).join(words)


def flow_secret(pen: Pen, dialect: Dialect, depth: int = 0, *, kind: bool = True) -> None:
    quote = '"' if dialect.json else ""

    def word(text: str) -> Callable[[int], None]:
        return lambda depth: pen.keep(quote + text + quote)

    def values(field: str) -> Callable[[int], None]:
        def write(depth: int) -> None:
            names = pen.names()
            flow_entries(pen, field, names, column=depth, dialect=dialect)

        return write

    def meta(depth: int) -> None:
        members = [("name", word(pen.pick(["db-auth", "x"]))), ("namespace", word("prod"))]
        if pen.chance(3):
            members.append(("annotations", unsealed(pen, values("stringData"))))
        flow_mapping(pen, pen.shuffled(members), depth, dialect)

    fields = [field for field in ("data", "stringData") if pen.chance(2)] or ["stringData"]
    members: list[tuple[str, Callable[[int], None]]] = [
        *([("apiVersion", word("v1")), ("kind", word("Secret"))] if kind else []),
        ("metadata", meta),
        *((field, sealing(pen, values(field))) for field in fields),
    ]
    if pen.chance(3):
        members.append(("immutable", lambda depth: pen.keep("true")))
    if pen.chance(3):
        members.append(("status", lambda depth: pen.keep(pen.pick(["[]", "null", '["a","b"]', '[{"a":1}]']))))
    count_secret(pen, lambda: flow_mapping(pen, pen.shuffled(members), depth, dialect))


def json_document(pen: Pen, dialect: Dialect) -> None:
    if not pen.chance(3):
        flow_secret(pen, dialect)
        return

    def items(depth: int) -> None:
        pen.keep("[")
        for index in range(pen.number(0, 3)):
            pen.keep(dialect.comma * bool(index))
            flow_secret(pen, dialect, depth)
        pen.keep("]")

    members: list[tuple[str, Callable[[int], None]]] = [
        ("apiVersion", lambda depth: pen.keep('"v1"')),
        ("kind", lambda depth: pen.keep('"List"')),
        ("items", items),
    ]
    flow_mapping(pen, pen.shuffled(members), 0, dialect)


# -- whole texts ------------------------------------------------------------------------------------------------------


def yaml_document(pen: Pen, first: bool) -> bool:
    """One document, after its marker (the first may lack one). Whether there is anything in it."""
    pen.filler()
    kind = pen.pick(["secret", "secret", "secret", "list", "flow", "config", "empty", "json"])
    column = pen.pick([0, 0, 0, 0, 1, 2])
    if kind == "secret":
        block_secret(pen, column, inline=False)
    elif kind == "list":
        block_list_of_secrets(pen, column, inline=False)
    elif kind == "config":
        config_map(pen, column, inline=False)
    elif kind in ("flow", "json"):
        dialect = pen.pick(JSONS[:2])._replace(pairs=False) if kind == "json" else FLOW
        pen.keep("# not JSON\n" if first else "")
        flow_secret(pen, dialect)
        pen.keep(pen.trail())
    pen.filler()
    pen.comment_limit = 60
    return bool(kind != "empty")


def write_yaml(pen: Pen) -> None:
    for _ in range(pen.number(0, 1) if pen.chance(3) else 0):
        pen.filler()
    if pen.chance(3):
        pen.keep(
            pen.pick(["---\n", "--- # first\n", "%YAML 1.1\n---\n", "# c\n%YAML 1.1\n# d\n---\n", "---\n# e\n---\n"])
        )
    filled = False
    for number in range(pen.number(1, 3)):
        if number:
            ends = ["...\n---\n", "... # end\n# between\n---\n", "...\n%YAML 1.1\n---\n"] if filled else []
            pen.keep(pen.pick(["---\n", "---\n", "--- # next\n", "---  \n", *ends]))
        filled = yaml_document(pen, number == 0)
    if pen.chance(8):
        pen.keep(pen.pick(["---\n", *(["...\n", "...\n# behind the end\n"] if filled else [])]))


def write_json(pen: Pen) -> None:
    pen.keep(pen.pick(["", "", "\n", " \n\t"]))
    dialect = pen.pick(JSONS)
    for _ in range(pen.number(1, 2)):
        json_document(pen, dialect)
        pen.keep(pen.pick(["\n", "\n", "\n\n", " \n"]))


def blank_behind_bodies(pieces: list[tuple[Kind, str]]) -> Iterator[tuple[Kind, str]]:
    """Marks the lines without text behind a block scalar: they are a part of it, or not, as its header says."""
    behind = ended = False
    for at, (kind, text) in enumerate(pieces, 1):
        if kind == "body":
            behind, ended = True, False
        elif behind and not ended and text in ("\n", "\r\n"):
            ended = True  # the body's own last line break
        elif behind and not text.strip() and (text.endswith("\n") or at == len(pieces)):
            kind = "blank"  # noqa: PLW2901
        elif text:
            behind = False
        yield kind, text


@st.composite
def manifests(draw: Draw) -> Written:
    """A manifest that ought to be sealed and restored, with at least one value in it."""
    pen = Pen(draw)
    is_json = pen.chance(4)
    while not pen.sealable:
        pen.pieces.clear()
        (write_json if is_json else write_yaml)(pen)
    newline = pen.pick(["\n", "\n", "\r\n"])
    pieces = [(kind, text.replace("\n", newline)) for kind, text in pen.pieces]
    if pen.chance(4):
        kind, text = pieces[-1]
        pieces[-1] = (kind, text.removesuffix(newline))
    values = tuple(text for kind, text in pieces if kind in ("value", "body"))
    return Written(tuple(blank_behind_bodies(pieces)), pen.chance(8), pen.sealable, values)
