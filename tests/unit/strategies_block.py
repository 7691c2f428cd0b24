"""Secrets, and what stands beside them, in block style."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.strategies_flow import FLOW, flow_entries, flow_secret
from tests.unit.strategies_pen import Pen, count_secret, sealing, unsealed
from tests.unit.strategies_scalars import block_scalar, key_text, quoted_or_plain

if TYPE_CHECKING:
    from collections.abc import Callable


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
