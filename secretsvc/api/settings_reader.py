"""Reader of the configuration file, which tells every mistake with file and line."""

from __future__ import annotations

import os
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from secretsvc.api.settings import IN_FOLDER, Audit, Config, Limits, Listen
from secretsvc.errors import FileError, InputError
from secretsvc.manifest.nodes import Alias, Mapping, Scalar, Sequence, is_merge, resolved
from secretsvc.manifest.yaml_reader import read_documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as MappingOf

    from secretsvc.manifest.nodes import Node

MAX_BYTES = 4 * 1024 * 1024
PREFIX = "KSECRET_SERVE_"
_SECTIONS: dict[str, type[BaseModel]] = {"listen": Listen, "audit": Audit, "limits": Limits}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


class MistakesError(Exception):
    """Mistakes of a configuration, all of them."""

    def __init__(self, found: list[InputError]) -> None:
        super().__init__(f"{len(found)} mistakes")
        self.found = found


def load(path: str, environ: MappingOf[str, str], listen: MappingOf[str, Any] | None = None) -> Config:
    """Read the configuration in a file; scalars out of the environment, and what options say of `listen`, go before.

    Paths in the file are relative to its folder, those of variables and options to the current one.

    Raises FileError and MistakesError.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=path) from error
    return read(data, path, environ, listen or {})


def read(
    data: bytes, source: str, environ: MappingOf[str, str], listen: MappingOf[str, Any] = MappingProxyType({})
) -> Config:
    """Read the configuration in the bytes of the file `source`. Raises MistakesError, which repeats nothing of them."""
    try:
        root = _root(data)
        tree = _plain(root)
    except InputError as error:
        error.file = source
        raise MistakesError([error]) from None
    overriding = _overrides(environ)
    for section, name, value in [*overriding, *(("listen", name, value) for name, value in listen.items())]:
        held = tree.setdefault(section, {})
        if isinstance(held, dict):
            held[name] = value
    try:
        return Config.model_validate(tree, context={"folder": os.path.dirname(os.path.abspath(source))})
    except ValidationError as error:
        found = [
            _mistake(one, root, source, overriding) for one in error.errors(include_input=False, include_url=False)
        ]
        raise MistakesError(found) from None


def _root(data: bytes) -> Mapping:
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES // 1024 // 1024} MiB: that is no configuration")
    try:
        documents = read_documents(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8 text", hint="convert the file to UTF-8", line=line) from None
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        raise InputError("a configuration is one YAML mapping", hint="start with `version: 1`", line=1)
    return documents[0]


def _plain(node: Node | None) -> Any:
    """Return what a node says: texts, and what is plainly a number, a boolean or nothing. Raises InputError."""
    if isinstance(node, Alias) and node.target is None:
        raise InputError("an alias inside what it stands for", line=node.line)
    node = resolved(node)
    assert not isinstance(node, Alias)
    if node and node.tag:
        raise InputError("a tag", hint="remove it, and quote what is a text", line=node.line)
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    if isinstance(node, Mapping):
        return dict(_members(node))
    assert isinstance(node, Scalar)
    return node.value if node.style else _word(node.value)


def _members(mapping: Mapping) -> Iterator[tuple[str, Any]]:
    seen = set()
    for key, value in mapping.members:
        if not isinstance(key, Scalar) or is_merge(key):
            raise InputError("a key that is no text", line=key.line)
        if key.value in seen:
            raise InputError("a key that is there twice", hint="keep one of the two", line=key.line)
        seen.add(key.value)
        yield key.value, _plain(value)


def _word(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,17}\.[0-9]{1,17}", text) else text


def names() -> dict[str, tuple[str, str]]:
    """Return the variables that override scalars, each with its section and member."""
    return {
        PREFIX + re.sub(r"(?<!^)(?=[A-Z])", "_", f"{section}_{field.alias}").upper(): (section, str(field.alias))
        for section, model in _SECTIONS.items()
        for field in model.model_fields.values()
    }


def _overrides(environ: MappingOf[str, str]) -> list[tuple[str, str, Any]]:
    known = names()
    found = []
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX):
            if name not in known:
                hint = "docs/service.md lists them"
                raise MistakesError([InputError("a variable that is not known", hint=hint, file=name)])
            section, member = known[name]
            field = _SECTIONS[section].model_fields[_snake(member)]
            value = text if field.annotation is str else _word(text)
            found.append((section, member, os.path.abspath(text) if text and IN_FOLDER in field.metadata else value))
    return found


def _snake(member: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", member).lower()


def _mistake(found: Any, root: Mapping, source: str, overriding: list[tuple[str, str, Any]]) -> InputError:
    at = found.get("ctx", {}).get("at") or found["loc"]
    place = tuple(part for part in at if isinstance(part, int) or part != "function-after")
    for section, member, _ in overriding:
        if place[:2] == (section, member):
            variable = next(name for name, where in names().items() if where == (section, member))
            return InputError(_said(found), file=variable)
    known = found["type"] != "extra_forbidden"
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (place if known else place[:-1]))
    about = f"{path.lstrip('.')}: " if path else ""
    return InputError(f"{about}{_said(found)}", file=source, line=_line(root, place))


def _said(found: Any) -> str:
    message = str(found["msg"]).removeprefix("Value error, ")
    return {"extra_forbidden": "an unknown key here", "missing": "it is missing"}.get(found["type"], message)


def _line(node: Node, place: tuple[str | int, ...]) -> int:
    """Return the line of the innermost node on the way to `place` that is there."""
    line = node.line
    for part in place:
        step: Node | None = resolved(node)
        if isinstance(step, Sequence) and isinstance(part, int) and part < len(step.items):
            node = step.items[part]
            line = node.line
        elif isinstance(step, Mapping):
            found = next((m for m in step.members if isinstance(m.key, Scalar) and m.key.value == part), None)
            if not found:
                break
            node, line = found.value, found.key.line
        else:
            break
    return line
