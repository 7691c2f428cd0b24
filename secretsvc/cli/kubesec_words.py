"""The words of `-d`, `-s`, `-a`, `-l` and `-m`, as kubesec reads them."""

from __future__ import annotations

import os
import re

from secretsvc.errors import UsageError
from secretsvc.files import workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    V = TypeVar("V")

_KEY = r"[0-9a-zA-Z._-]+"


def data_changes(words: list[str], option: str, *, removal: bool) -> dict[str, bytes | None]:
    """`key=value`, `file:path`, `file:key=path`, and where `removal` is taken `~key`, which becomes None.

    Raises UsageError, FileError.
    """
    return _each_once((_data_change(word, option, removal=removal) for word in words), option)


def _data_change(word: str, option: str, *, removal: bool) -> tuple[str, bytes | None]:
    if word.startswith("file:"):
        name, equals, path = word.removeprefix("file:").partition("=")
        key = _checked(name if equals else os.path.basename(name), option)
        return key, workspace.content(path if equals else name)
    if word.startswith("~") and removal:
        return _checked(word[1:], option), None
    key, equals, value = word.partition("=")
    if not equals:
        raise UsageError(f"{option} takes KEY=VALUE or file:KEY=PATH" + (" or ~KEY" if removal else ""))
    return _checked(key, option), os.fsencode(value)


def _each_once(found: Iterable[tuple[str, V]], option: str) -> dict[str, V]:
    """Make a mapping. Raises UsageError for a key that comes twice, because one of its values would be lost."""
    once: dict[str, V] = {}
    for key, value in found:
        if key in once:
            raise UsageError(f"{option} names the key {key} twice")
        once[key] = value
    return once


def _checked(key: str, option: str) -> str:
    if not re.fullmatch(_KEY, key):
        raise UsageError(f"{option}: a key is made of letters, digits, '.', '_' and '-'")
    return key


def texts(changes: dict[str, bytes | None], option: str) -> dict[str, str | None]:
    """The same as texts, for stringData. Raises UsageError for bytes that are no UTF-8."""
    try:
        return {key: None if value is None else value.decode() for key, value in changes.items()}
    except UnicodeDecodeError:
        raise UsageError(f"{option}: a value is not UTF-8 text", hint="put it under data, with --data") from None


def pairs(words: list[str], option: str) -> dict[str, str]:
    """`key=value`. Raises UsageError."""
    parts = [word.partition("=") for word in words]
    if not all(equals and key for key, equals, _ in parts):
        raise UsageError(f"{option} takes KEY=VALUE")
    return _each_once(((key, value) for key, _, value in parts), option)


def metadata(words: list[str]) -> dict[str, str]:
    """`name=…` and `namespace=…`. Raises UsageError."""
    found = pairs(words, "--metadata")
    if set(found) - {"name", "namespace"} or not all(found.values()):
        raise UsageError("--metadata takes name=NAME and namespace=NAMESPACE")
    return found
