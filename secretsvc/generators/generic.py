"""`generic`: entries from literals, files, folders and env files."""

from __future__ import annotations

import secrets
import string
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.errors import UsageError
from secretsvc.generators.csvrecord import fields
from secretsvc.generators.keys import Item, collect
from secretsvc.generators.sources import env_file_items, file_items, literal_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from secretsvc.generators.keys import Warn

LITERAL, FILE, ENV_FILE, RANDOM = "--from-literal", "--from-file", "--from-env-file", "--random"
MIN_RANDOM, MAX_RANDOM = 16, 65_536
_LETTERS = string.ascii_letters + string.digits


class Sources(NamedTuple):
    """What the flags were given, each as it stands on the command line."""

    literals: Sequence[str] = ()
    files: Sequence[str] = ()
    env_files: Sequence[str] = ()
    random: Sequence[str] = ()


def generic(
    sources: Sources, environ: Mapping[bytes, bytes], warn: Warn, more: Iterable[Item] = ()
) -> dict[str, bytes]:
    """The entries, `more` last. Raises UsageError, FileError and InputError, in the order in which kubectl looks."""
    files = [field for word in sources.files for field in fields(word, FILE, warn)]
    env_files = [field for word in sources.env_files for field in fields(word, ENV_FILE, warn)]
    if env_files and (files or sources.literals):
        raise UsageError(f"{ENV_FILE} can't be combined with {FILE} or {LITERAL}")
    return collect(
        chain(
            literal_items(sources.literals, LITERAL, warn),
            file_items(files, FILE, warn),
            env_file_items(env_files, environ, ENV_FILE, warn),
            _random_items(sources.random),
            more,
        )
    )


def _random_items(words: Iterable[str]) -> Iterator[Item]:
    for word in words:
        key, _, length = word.partition("=")
        if not (key and length.isascii() and length.isdigit() and MIN_RANDOM <= int(length) <= MAX_RANDOM):
            raise UsageError(f"{RANDOM}: expected KEY=LENGTH, {MIN_RANDOM} to {MAX_RANDOM} characters")
        yield Item(key, random_text(int(length)), RANDOM)


def random_text(length: int, letters: str = _LETTERS) -> bytes:
    """Characters from the system's random source; 5.95 bits each of letters and digits, so 32 of them are 190 bits."""
    return "".join(secrets.choice(letters) for _ in range(length)).encode()
