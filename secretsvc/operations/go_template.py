"""The part of Go's text/template that writes out a Secret's values (kubesec's `decrypt --template`).

Taken: text; `.`, `.data.KEY`, `$`, `$v`, `$v.x`; `range` over a mapping (in the order of its keys, as in Go) or a list,
with no, one or two variables; `index .data "tls.crt"`; string literals; comments; the trim markers `{{-` and `-}}`.
What is taken renders as Go renders it with the option `missingkey=error`; everything else is refused by its name.
Four things that Go lets pass are errors too: a key that `index` does not find (Go writes `<no value>`), a mapping or
list where text is wanted (`map[…]`), `index` into text (a byte's number), and `range` over a list's index.

Source: https://pkg.go.dev/text/template, and for what a word is, its parse/lex.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from secretsvc.errors import BoundError, UsageError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Value: TypeAlias = "str | bytes | Mapping[str, Value] | Sequence[Value]"
_Place: TypeAlias = "Value | int"
"""What a name stands for while a template runs: the first variable of a `range` over a list is a number."""
_Names: TypeAlias = "Mapping[str, _Place]"
"""Variables by their names with the `$`; the dot has the empty name."""

_MAX_DEPTH = 50
_TAKEN = (
    'taken are text, {{ .data.KEY }}, {{ index .data "tls.crt" }}, {{ range $k, $v := .data }}...{{ end }}, '
    '{{ "text" }} and {{/* comments */}}'
)
_SPACE = " \t\r\n"
_CLOSE = r"(?:[ \t\r\n]-\}\}[ \t\r\n]*|\}\})"
_AFTER_WORD = r"(?=[ \t\r\n.,|:()]|\}\}|\Z)"
_LEFT = re.compile(r"\{\{(?:-(?=[ \t\r\n]))?")
_COMMENT = re.compile(rf"(?:(?<=-)[ \t\r\n])?/\*((?>.*?\*/){_CLOSE})?", re.DOTALL)
_TOKEN = re.compile(
    rf"""(?P<close>[ \t\r\n]*{_CLOSE})
    |(?P<space>[ \t\r\n]+)
    |(?P<number>[+-]?\.?[0-9])
    |(?P<path>(?:(?:\$\w*)?(?:\.(?![0-9])\w+)+|\$\w*|\.){_AFTER_WORD})
    |(?P<word>\w+{_AFTER_WORD})
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`)
    |(?P<declare>:=)
    |(?P<comma>,)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_OTHER = {"|": "a pipe", "(": "parentheses", ")": "parentheses", "=": "an assignment", "'": "a character constant"}
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))?")
_PLAIN_ESCAPES = dict(zip('abfnrtv\\"', b'\a\b\f\n\r\t\v\\"', strict=True))


class _Token(Record):
    kind: str
    text: str


class _Action(Record):
    line: int
    tokens: list[_Token]


class _Path(Record):
    """`$v.x.y` is "$v" and ("x", "y")."""

    start: str
    fields: tuple[str, ...]
    source: str


class _Lookup(Record):
    """An operand, and the keys that `index` follows from there. A string literal is its bytes."""

    operand: bytes | _Path
    keys: tuple[bytes | _Path, ...]
    line: int


class _Range(Record):
    """`key` and `item` are names of variables, or empty."""

    key: str
    item: str
    over: _Lookup
    body: tuple[_Node, ...]


_Node: TypeAlias = "bytes | _Lookup | _Range"


class WritingRoom:
    """What templates may still write, all of a file together: a few ranges in each other write any amount."""

    def __init__(self, most: int) -> None:
        """`most`: bytes."""
        self._most = self._left = most

    def take(self, size: int) -> None:
        """Raises BoundError where it is used up, be it by rounds that write nothing."""
        self._left -= size + _ROUND
        if self._left < 0:
            what = f"its templates write more than {self._most // 1024 // 1024} MiB, or go round too often"
            raise BoundError(what, hint="write the values out")


_ROUND = 64
"""Bytes that each piece of text, value and round of a `range` counts for, beside what it writes."""


class Template(Record):
    """A template that can be rendered."""

    nodes: tuple[_Node, ...]

    def render(self, root: Value, room: WritingRoom | None = None) -> bytes:
        """The template with `root` for `.` and `$`: text as UTF-8, bytes as they are. `room`: None for no bound.

        Raises UsageError for a key that is not there and for a value of the wrong kind, BoundError for too little room.
        The message has the template's words, never a value.
        """
        written: list[bytes] = []
        _render(self.nodes, {"": root, "$": root}, written, room)
        return b"".join(written)


def render(template: str, root: Value, room: WritingRoom | None = None) -> bytes:
    """`parse(template).render(root, room)`."""
    return parse(template).render(root, room)


def parse(template: str) -> Template:
    """Raises UsageError for what Go does not parse and for what is not taken here."""
    return Template(_block(_pieces(template), frozenset(("", "$")), []))


def _pieces(template: str) -> Iterator[bytes | _Action]:
    """The text, trimmed as the actions beside it ask, and each action but comments."""
    at = counted = 0
    line = 1
    while left := _LEFT.search(template, at):
        text = template[at : left.start()]
        yield _encoded(text.rstrip(_SPACE) if left[0].endswith("-") else text)
        line += template.count("\n", counted, left.start())
        counted = left.start()
        if comment := _COMMENT.match(template, left.end()):
            if comment[1] is None:
                raise _refused(line, "a comment that does not end with */}}")
            at = comment.end()
        else:
            tokens, at = _tokens(template, left.end(), line)
            yield _Action(line, tokens)
    yield _encoded(template[at:])


def _tokens(template: str, at: int, line: int) -> tuple[list[_Token], int]:
    """One action's tokens without the space at its ends, and where the text goes on."""
    tokens: list[_Token] = []
    while found := _TOKEN.match(template, at):
        at, kind, text = found.end(), found.lastgroup or "", found[0]
        if kind == "close":
            return tokens, at
        if kind == "word" and text not in ("range", "end", "index"):
            raise _refused(line, f"the word {text}")
        if kind in ("path", "word") and any(c.isnumeric() and not (c.isdecimal() or c.isalpha()) for c in text):
            kind = "other"  # such as ², which Python's \w has and Go has not
        if kind in ("number", "other"):
            raise _refused(
                line, "a number" if kind == "number" else _OTHER.get(text, "something that Go does not know")
            )
        if tokens or kind != "space":
            tokens.append(_Token(kind, text))
    raise _refused(line, "an action that does not end with }}")


def _block(pieces: Iterator[bytes | _Action], known: frozenset[str], ranges: list[int]) -> tuple[_Node, ...]:
    """The nodes up to the end of the innermost of the open ranges (given by their lines), or of the text."""
    nodes: list[_Node] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            nodes.append(piece)
        elif piece.tokens[:1] == [_Token("word", "range")]:
            if len(ranges) == _MAX_DEPTH:
                raise _refused(piece.line, f"more than {_MAX_DEPTH} ranges in each other")
            key, item, over = _range(piece, known)
            nodes.append(_Range(key, item, over, _block(pieces, known | {key, item}, [*ranges, piece.line])))
        elif piece.tokens == [_Token("word", "end")]:
            if not ranges:
                raise _refused(piece.line, "an end without a range")
            return tuple(nodes)
        else:
            nodes.append(_lookup(piece, known))
    if ranges:
        raise _refused(ranges[-1], "a range without an end")
    return tuple(nodes)


def _range(action: _Action, known: frozenset[str]) -> tuple[str, str, _Lookup]:
    """A range's variables, and what it is over."""
    line, tokens, names = action.line, action.tokens[1:], []
    declare = next((at for at, token in enumerate(tokens) if token.kind == "declare"), None)
    if declare is not None:
        head = [token for token in tokens[:declare] if token.kind != "space"]
        names = [token.text for token in head[::2]]
        kinds = [token.kind for token in head]
        if kinds not in (["path"], ["path", "comma", "path"]) or any(n[0] != "$" or "." in n for n in names):
            raise _refused(line, "a range that has no one or two variables before its :=")
        tokens = tokens[declare + 1 :]
    if tokens and tokens[0].kind == "space":
        tokens = tokens[1:]
    key, item = ["", "", *names][-2:]
    return key, item, _lookup(_Action(line, tokens), known)


def _lookup(action: _Action, known: frozenset[str]) -> _Lookup:
    """`operand`, or `index operand operand…`, with space between them."""
    words = action.tokens[::2]
    if any(token.kind == "declare" for token in action.tokens):
        raise _refused(action.line, "an assignment")
    if any(token.kind != "space" for token in action.tokens[1::2]):
        raise _refused(action.line, "words without space between them")
    is_index = words[:1] == [_Token("word", "index")]
    operands = [_operand(token, known, action.line) for token in words[is_index:]]
    if not operands:
        raise _refused(action.line, "an action without a value")
    if len(operands) > 1 and not is_index:
        raise _refused(action.line, "a value with an argument")
    return _Lookup(operands[0], tuple(operands[1:]), action.line)


def _operand(token: _Token, known: frozenset[str], line: int) -> bytes | _Path:
    if token.kind == "string":
        return _unquoted(token.text, line)
    if token.kind != "path":
        raise _refused(line, f"the word {token.text} in an odd place")
    start, *fields = token.text.split(".")
    if start not in known:
        raise _refused(line, f"{start} before it is defined")
    return _Path(start, tuple(filter(None, fields)), token.text)


def _unquoted(quoted: str, line: int) -> bytes:
    """Source: https://go.dev/ref/spec#String_literals."""

    def decoded(escape: re.Match[str]) -> str:
        plain, byte, octal, short, long = escape.groups()
        number = int(octal, 8) if octal else int(byte or short or long or "0", 16)
        if not any(escape.groups()) or (octal and number > 0xFF) or 0xD800 <= number < 0xE000 or number > 0x10FFFF:
            raise _refused(line, "a string with an escape that Go does not know")
        made = bytes([_PLAIN_ESCAPES[plain] if plain else number]) if not (short or long) else chr(number).encode()
        return made.decode("utf-8", "surrogateescape")

    inside = quoted[1:-1]
    return _encoded(inside.replace("\r", "") if quoted[0] == "`" else _ESCAPE.sub(decoded, inside))


def _render(nodes: tuple[_Node, ...], names: _Names, written: list[bytes], room: WritingRoom | None) -> None:
    for node in nodes:
        if isinstance(node, _Range):
            for key, item in _items(_found(node.over, names), node.over.line):
                if room:
                    room.take(0)
                _render(node.body, {**names, node.key: key, node.item: item, "": item}, written, room)
            continue
        text = node if isinstance(node, bytes) else _text(_found(node, names), node.line)
        if room:
            room.take(len(text))
        written.append(text)


def _items(value: _Place, line: int) -> list[tuple[_Place, Value]]:
    if isinstance(value, Mapping):
        return sorted(value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(enumerate(value))
    raise _unfit(line, "range takes a mapping or a list, and has neither")


def _found(lookup: _Lookup, names: _Names) -> _Place:
    value = _evaluated(lookup.operand, names, lookup.line)
    for operand in lookup.keys:
        key = _evaluated(operand, names, lookup.line)
        shown = operand.source if isinstance(operand, _Path) else ascii(operand.decode("utf-8", "surrogateescape"))
        value = _entry(value, key if isinstance(key, int) else _key(key, lookup.line), shown, lookup.line)
    return value


def _evaluated(operand: bytes | _Path, names: _Names, line: int) -> _Place:
    if isinstance(operand, bytes):
        return operand
    value = names[operand.start]
    for field in operand.fields:
        value = _entry(value, field, f"{field} of {operand.source}", line)
    return value


def _entry(value: _Place, key: str | int, shown: str, line: int) -> Value:
    if isinstance(value, Mapping) and isinstance(key, str):
        if key in value:
            return value[key]
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and isinstance(key, int):
        if key < len(value):
            return value[key]
    else:
        raise _unfit(line, f"{shown} can't be looked up there: it takes a key in a mapping, or a number in a list")
    raise _unfit(line, f"there is no entry {shown}")


def _key(value: Value, line: int) -> str:
    return _text(value, line).decode("utf-8", "surrogateescape")


def _text(value: _Place, line: int) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str | int):
        return _encoded(str(value))
    raise _unfit(line, "a mapping or a list stands where text is wanted")


def _encoded(text: str) -> bytes:
    """Arguments may hold bytes that are no UTF-8: they come out as they came in."""
    return text.encode("utf-8", "surrogateescape")


def _refused(line: int, what: str) -> UsageError:
    return UsageError(f"the template has {what} in line {line}, and that is not taken", hint=_TAKEN)


def _unfit(line: int, what: str) -> UsageError:
    return UsageError(f"the template does not fit (line {line}): {what}", hint=_TAKEN)
