"""Secrets in flow style and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from tests.unit.strategies_pen import JSON_ESCAPES, Pen, count_secret, sealing, unsealed
from tests.unit.strategies_scalars import key_text, quoted_or_plain

if TYPE_CHECKING:
    from collections.abc import Callable


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
