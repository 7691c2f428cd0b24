"""Entries that kubectl's `--from-…` flags name, and the files read for them: the only module here that reads files."""

from __future__ import annotations

import errno
import os
import stat

from secretsvc.errors import FileError, InputError, UsageError
from secretsvc.generators.entries import NewEntry
from secretsvc.generators.envfile import env_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from secretsvc.generators.entries import Warn

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Far over what a Secret holds; a device without an end must not fill the memory."""


def read_file(path: str, flag: str, what: str = "") -> bytes:
    """A file that a flag names, whole, links followed. Raises FileError and InputError, which name flag and file."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(error, path, flag, what) from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{flag}: larger than {MAX_FILE_BYTES // 1024 // 1024} MiB", file=path)
    return data


def _unreadable(error: Exception, path: str, flag: str, what: str = "") -> FileError:
    reason = "it can't be the name of a file"
    if isinstance(error, OSError):
        loop = error.errno == errno.ELOOP
        reason = "too many levels of symbolic links" if loop else str(error.strerror).lower()
    return FileError(f"{flag}: can't read {what or 'it'}: {reason}", file=path)


def literal_items(words: Iterable[str], flag: str, warn: Warn) -> Iterator[NewEntry]:
    """`KEY=VALUE` words; the value as it stands, quotes included. Raises UsageError, without the word."""
    for number, word in enumerate(words, 1):
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise UsageError(f"{flag} number {number}: invalid source, expected KEY=VALUE")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            warn(f"{flag} number {number}: the quotes around the value are part of it, as for kubectl")
        yield NewEntry(key, os.fsencode(value), f"{flag} number {number}")


def file_items(elements: Iterable[str], flag: str, warn: Warn) -> Iterator[NewEntry]:
    """`[KEY=]PATH` elements: a file, or each regular file of a folder (design KUBECTL, section 3.3).

    Raises UsageError, FileError and InputError.
    """
    for element in elements:
        key, path = _key_and_path(element, flag)
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
        except (OSError, ValueError) as error:
            raise _unreadable(error, path, flag) from error
        if is_folder and key is not None:
            raise UsageError(f"{flag}: a folder can't be given a key", hint="its files' names are the keys", file=path)
        if is_folder:
            yield from _folder_items(path, flag, warn)
        else:
            name = os.path.basename(path) if key is None else key
            yield NewEntry(name, read_file(path, flag), flag, path)


def _key_and_path(element: str, flag: str) -> tuple[str | None, str]:
    if "=" not in element:
        return None, element
    key, _, path = element.partition("=")
    if "=" in path:
        raise UsageError(f"{flag}: key names or file paths can't contain '='", hint="give such a file another name")
    if not key:
        raise UsageError(f"{flag}: the key name before '=' is missing", file=path)
    if not path:
        raise UsageError(f"{flag}: the file path after '=' is missing")
    return key, path


def _folder_items(folder: str, flag: str, warn: Warn) -> Iterator[NewEntry]:
    """Read its own regular files in the order of their names' bytes; links, folders and pipes are passed over."""
    try:
        entries = [entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    except OSError as error:
        raise _unreadable(error, folder, flag) from error
    if not entries:
        warn(f"{flag}: {folder}: no regular file in it, so it adds no key (links are passed over, as kubectl does)")
    for name in sorted(entries, key=os.fsencode):
        path = os.path.join(folder, name)
        yield NewEntry(name, read_file(path, flag), flag, path)


def env_file_items(paths: Iterable[str], environ: Mapping[bytes, bytes], flag: str, warn: Warn) -> Iterator[NewEntry]:
    """The entries of env files. Raises UsageError, FileError and InputError."""
    for path in paths:
        if os.path.isdir(path):
            raise UsageError(f"{flag}: an env file can't be a folder", file=path)
        yield from env_items(read_file(path, flag), environ, flag, path, warn)


def without_line_break(data: bytes) -> bytes:
    """A password as `docker login --password-stdin` takes it: everything but one line break at the end."""
    return data.removesuffix(b"\r\n" if data.endswith(b"\r\n") else b"\n")
