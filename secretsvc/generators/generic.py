"""`generic`: entries from literals, files, folders and env files."""

from __future__ import annotations

from itertools import chain

from secretsvc.errors import UsageError
from secretsvc.generators.entries import NewEntry, collect
from secretsvc.generators.golang.csv import fields
from secretsvc.generators.random_text import ALPHABETS, MAX_LENGTH, random_text
from secretsvc.generators.sources import env_file_items, file_items, literal_items
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from secretsvc.generators.entries import Warn

LITERAL, FILE, ENV_FILE, RANDOM = "--from-literal", "--from-file", "--from-env-file", "--random"


class Sources(Record):
    """Words of the flags, each as it stands on the command line."""

    literals: Sequence[str] = ()
    files: Sequence[str] = ()
    env_files: Sequence[str] = ()
    random: Sequence[str] = ()


def generic(
    sources: Sources, environ: Mapping[bytes, bytes], warn: Warn, more: Iterable[NewEntry] = ()
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


def _random_items(words: Iterable[str]) -> Iterator[NewEntry]:
    for word in words:
        key, _, length = word.partition("=")
        try:
            if not key:
                raise ValueError("no key")
            yield NewEntry(key, random_text(length).encode(), RANDOM)
        except ValueError:
            message = f"{RANDOM}: expected KEY=LENGTH, up to {MAX_LENGTH} characters, or KEY=LENGTH:ALPHABET"
            raise UsageError(message, hint=f"alphabets: {', '.join(ALPHABETS)}") from None
