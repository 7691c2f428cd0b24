"""Trees written as files of each kind, as SOPS lays them out: stores/*/store.go of getsops/sops."""

from __future__ import annotations

import re

from secretsvc.document.base import Value
from secretsvc.document.ini_lines import DEFAULT
from secretsvc.document.texts import encoded, text_of
from secretsvc.document.trees import Branch, is_comment
from secretsvc.document.yaml_types import plain
from secretsvc.errors import ManifestError
from secretsvc.manifest.scalars import is_string, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsvc.document.trees import Tree

_YAML_INDENT = 4
_WHOLE = "data"
_ODD = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\U00010000-\U0010ffff]")
"""What go-yaml escapes."""
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_BASE_60 = re.compile("[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:[.][0-9_]*)?")
"""A number to readers of YAML 1.1."""
_HTML = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029\ufffd"}
"""Characters that Go's encoding/json escapes: also what it puts in the place of bytes that are no UTF-8."""


def written(kind: str, units: Sequence[Branch], indent: int = 0) -> bytes:
    """Return a file of that kind. Only YAML has place for more than the first unit; `indent` is in columns.

    Raises ManifestError for what the kind has no place for.
    """
    first = units[0] if units else Branch()
    if kind == "json":
        return f"{_json(first, _json_gap(indent))}\n".encode("utf-8", "surrogateescape")
    if kind == "yaml":
        texts = ["\n".join(_yaml_block(unit, 0, indent or _YAML_INDENT)) or "{}" for unit in units or [first]]
        return "\n---\n".join(texts).encode("utf-8", "surrogateescape") + b"\n"
    if kind == "dotenv":
        return b"".join(_dotenv_lines(first))
    if kind == "ini":
        return "".join(_ini(first)).encode("utf-8", "surrogateescape")
    found = next((tree for key, tree in first.items if key == _WHOLE), None)
    if not isinstance(found, Value):
        raise ManifestError("no file of any bytes: it has no text `data`", hint="say which kind with --output-type")
    return found.text


def part(kind: str, tree: Tree) -> bytes:
    """Return a value or a branch by itself: texts as they are, everything else as the kind writes it.

    Raises ManifestError.
    """
    if isinstance(tree, Branch):
        if kind == "json":
            return f"{_json(tree, _json_gap(0))}{'' if tree.is_list else chr(10)}".encode("utf-8", "surrogateescape")
        if kind == "yaml":
            lines = list(_yaml_block(tree, 0, _YAML_INDENT)) or ["[]" if tree.is_list else "{}"]
            return "\n".join([*lines, ""]).encode("utf-8", "surrogateescape")
        return written(kind, [tree])
    if tree.kind in ("str", "bytes"):
        return tree.text
    if kind == "json":
        return _json(tree, "\n").encode()
    if kind == "yaml":
        return f"{_yaml_scalar(tree)}\n".encode()
    raise ManifestError("a value that is no text, by itself", hint="--output-type yaml or json writes it")


def _json_gap(indent: int) -> str:
    return " " * indent or "\t"


def _json(tree: Tree, unit: str, gap: str = "\n") -> str:
    from json import dumps

    if isinstance(tree, Value):
        return _json_scalar(tree)
    items = [(key, item) for key, item in tree.items if not is_comment(item)]
    start, end = "[]" if tree.is_list else "{}"
    if not items:
        return start + end
    inner = gap + unit
    lines = [
        ("" if key is None else f"{dumps(key, ensure_ascii=False).translate(_HTML)}: ") + _json(item, unit, inner)
        for key, item in items
    ]
    return start + inner + f",{inner}".join(lines) + gap + end


def _json_scalar(value: Value) -> str:
    from json import dumps

    text = value.text.decode("utf-8", "replace")
    if value.kind in ("null", "bool"):
        return text.lower() or "null"
    if value.kind == "int":
        return text
    if value.kind == "float":
        if text.strip("+-") in ("Inf", "NaN"):
            raise ManifestError("a number that is none (NaN, Inf), for which JSON has no place")
        return text
    return dumps(text, ensure_ascii=False).translate(_HTML)


def _yaml_block(tree: Branch, column: int, indent: int) -> Iterator[str]:
    """The lines of a mapping or a list in block style."""
    lead = " " * column
    for key, item in tree.items:
        head = "-" if tree.is_list else f"{_yaml_key(key or '')}:"
        if isinstance(item, Value):
            if item.kind == "comment":
                yield from (f"{lead}#{line}" for line in item.text.decode("utf-8", "replace").split("\n"))
            else:
                yield f"{lead}{head} {_yaml_scalar(item, _next(column, indent))}"
        elif not item.items:
            yield f"{lead}{head} {'[]' if item.is_list else '{}'}"
        elif tree.is_list:
            yield from _yaml_item(item, column, indent)
        else:
            yield f"{lead}{head}"
            yield from _yaml_block(item, _next(column, indent), indent)


def _next(column: int, indent: int) -> int:
    """The column of what is further in: a multiple of the indentation, as go-yaml has it."""
    return (column // indent + 1) * indent


def _yaml_item(item: Branch, column: int, indent: int) -> Iterator[str]:
    """A collection as an item of a list: its first line stands behind the dash, unless it is a comment."""
    lines = _yaml_block(item, column + 2, indent)
    first = next(lines)
    dash = " " * column + "-"
    if first.lstrip().startswith("#"):
        yield dash
        yield first
    else:
        yield f"{dash} {first[column + 2 :]}"
    yield from lines


def _yaml_key(key: str) -> str:
    return _yaml_scalar(Value("str", encoded(key)))


def _yaml_scalar(value: Value, column: int = 0) -> str:
    """A scalar in go-yaml's style; `column` is where the lines of a block would stand, 0 where there can be none."""
    from secretsvc.document.yaml_spelling import scalar_of

    if value.kind == "float" and value.text.strip(b"-").replace(b".", b"").isdigit():
        return text_of(value).decode().removesuffix(".0").replace("E", "e")
    if value.kind != "str" or not value.text:
        return scalar_of(value)
    scalar = scalar_of(value)
    text = value.text.decode()
    if _ODD.search(text) or ("\t" in text and "\n" not in text):
        return _ASTRAL.sub(lambda sign: f"\\U{ord(sign[0]):08X}", quoted(text))
    if "\n" in text:
        return _yaml_lines(text, column) if column else quoted(text)
    return _yaml_line(text, scalar)


def _yaml_line(text: str, spelled: str) -> str:
    """A text of one line: in double quotes where it would be none without, in single ones where it can't stand bare."""
    if _BASE_60.fullmatch(text):
        return f'"{text}"'
    is_bare = not spelled.startswith('"') and not text.startswith(("---", "..."))
    if is_bare or not is_string(text) or plain(text).kind != "str":
        return spelled
    return "'" + text.replace("'", "''") + "'"


def _yaml_lines(text: str, column: int) -> str:
    """A text of several lines as a block, where go-yaml makes one of it; else in quotes."""
    if text[0] in " \n" or " \n" in text or text.endswith(" "):
        return quoted(text)
    lines = text.removesuffix("\n").split("\n")
    chomping = "-" if not text.endswith("\n") else "+" if text.endswith("\n\n") else ""
    return f"|{chomping}\n" + "\n".join(" " * column + line if line else "" for line in lines)


def _dotenv_lines(tree: Branch) -> Iterator[bytes]:
    for key, item in tree.items:
        if isinstance(item, Branch):
            raise ManifestError("a mapping or a list, for which dotenv has no place", hint="it holds KEY=value alone")
        if item.kind == "comment":
            yield b"#" + item.text.replace(b"\n", b"\\n") + b"\n"
        else:
            yield encoded(key or "") + b"=" + text_of(item).replace(b"\n", b"\\n") + b"\n"


def _ini(tree: Branch) -> Iterator[str]:
    """Sections, each with its keys' signs in one column."""
    is_first = True
    for name, section in tree.items:
        if not isinstance(section, Branch) or section.is_list:
            if is_comment(section):
                continue
            raise ManifestError("a value outside of a section, for which INI has no place", hint="give it a section")
        if not section.items and name == DEFAULT:
            continue
        yield ("" if is_first else "\n") + f"[{name}]\n"
        is_first = False
        yield from _ini_section(section)


def _ini_section(section: Branch) -> Iterator[str]:
    from secretsvc.document.ini_spelling import name, shelled

    comment = ""
    lines: list[tuple[str, str, str]] = []
    for key, item in section.items:
        if isinstance(item, Branch):
            raise ManifestError("nested deeper than a section's keys, for which INI has no place")
        text = text_of(item).decode("utf-8", "replace")
        if item.kind == "comment":
            comment += "".join(f"; {line.strip()}\n" for line in text.split("\n"))
        else:
            lines.append((comment, name(key or ""), shelled(text)))
            comment = ""
    width = max((len(key) for _, key, _ in lines), default=0)
    for above, key, text in lines:
        yield f"{above}{key:{width}} = {text}\n"
