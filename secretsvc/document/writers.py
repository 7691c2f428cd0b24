"""Trees written as files of each kind, as SOPS lays them out: stores/*/store.go of getsops/sops."""

from __future__ import annotations

from secretsvc.document.base import Value
from secretsvc.document.ini_lines import DEFAULT
from secretsvc.document.texts import encoded, text_of
from secretsvc.document.trees import Branch, is_comment
from secretsvc.errors import ManifestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsvc.document.trees import Tree

_YAML_INDENT = 4
_WHOLE = "data"
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
                yield f"{lead}{head} {_yaml_scalar(item, column + indent)}"
        elif not item.items:
            yield f"{lead}{head} {'[]' if item.is_list else '{}'}"
        elif tree.is_list:
            yield from _yaml_item(item, column, indent)
        else:
            yield f"{lead}{head}"
            yield from _yaml_block(item, column + indent, indent)


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
    """A scalar; `column` is where the lines of a block would stand, 0 where there can be none."""
    from secretsvc.document.yaml_spelling import scalar_of
    from secretsvc.manifest.scalars import literal_block

    if column and value.kind == "str" and b"\n" in value.text:
        block = literal_block(value.text.decode("utf-8", "replace"), column, "\n")
        if block is not None:
            return block
    return scalar_of(value)


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
