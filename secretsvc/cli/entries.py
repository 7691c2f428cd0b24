"""The words of `-d`, `-s`, `-a`, `-l` and `-m`, as kubesec reads them."""

from __future__ import annotations

import os
import re

from secretsvc import workspace
from secretsvc.errors import UsageError

_KEY = r"[0-9a-zA-Z._-]+"


def data_changes(words: list[str], option: str, *, removal: bool) -> dict[str, bytes | None]:
    """`key=value`, `file:path`, `file:key=path`, and where `removal` is taken `~key`, which becomes None.

    Raises UsageError, FileError.
    """
    found: dict[str, bytes | None] = {}
    for word in words:
        if word.startswith("file:"):
            name, equals, path = word.removeprefix("file:").partition("=")
            key = name if equals else os.path.basename(name)
            found[_checked(key, option)] = workspace.content(path if equals else name)
        elif word.startswith("~") and removal:
            found[_checked(word[1:], option)] = None
        else:
            key, equals, value = word.partition("=")
            if not equals:
                raise UsageError(f"{option} takes KEY=VALUE or file:KEY=PATH" + (" or ~KEY" if removal else ""))
            found[_checked(key, option)] = os.fsencode(value)
    return found


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
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (equals and key):
            raise UsageError(f"{option} takes KEY=VALUE")
        found[key] = value
    return found


def metadata(words: list[str]) -> dict[str, str]:
    """`name=…` and `namespace=…`. Raises UsageError."""
    found = pairs(words, "--metadata")
    if set(found) - {"name", "namespace"} or not all(found.values()):
        raise UsageError("--metadata takes name=NAME and namespace=NAMESPACE")
    return found
