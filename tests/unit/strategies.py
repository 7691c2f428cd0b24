"""Manifests in every style that people write them in, written as text, with each value's place known from the start.

Nothing here goes through a YAML or JSON dumper: those write in one style only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from tests.support import TOKEN
from tests.unit.strategies_block import block_list_of_secrets, block_secret, config_map
from tests.unit.strategies_flow import FLOW, JSONS, flow_secret, json_document
from tests.unit.strategies_pen import Draw, Kind, Pen

if TYPE_CHECKING:
    from collections.abc import Iterator

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
