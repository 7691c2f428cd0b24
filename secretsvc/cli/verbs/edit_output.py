"""Where an edited manifest goes, and what becomes of it where it can't go there."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from secretsvc.errors import FileError
from secretsvc.files import workspace
from secretsvc.files.private_folder import keep

if TYPE_CHECKING:
    from secretsvc.files.workspace import Snapshot


def put_out(path: str, output: str, snapshot: Snapshot | None, sealed: bytes) -> None:
    """Writes the file, the output file, or prints where that is `-`; `snapshot` is None for a file that is to be made.

    Where that fails, what was typed is kept, sealed, in a private folder that the hint names. Raises FileError.
    """
    try:
        if output == "-":
            _print(sealed)
        elif output:
            workspace.create(output, sealed, private=False)
        elif snapshot:
            workspace.replace(snapshot, sealed)
        else:
            _make(path, sealed)
    except FileError as error:
        kept = keep("secret.json" if path.endswith(".json") else "secret.yaml", sealed)
        error.hint = f"what you typed is kept, sealed, in {kept}"
        raise


def _print(sealed: bytes) -> None:
    try:
        sys.stdout.buffer.write(sealed)
        sys.stdout.buffer.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that it is not tried again at the end
        raise FileError(f"the output can't be written: {error.strerror}", file="standard output") from error


def _make(path: str, sealed: bytes) -> None:
    """A new file; one that somebody made meanwhile stays as it is. Raises FileError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        raise FileError("it was made by somebody else meanwhile; it was left as it is") from None
    except OSError as error:
        raise FileError(f"can't be made: {error.strerror}") from error
    try:
        workspace.replace(workspace.read(path), sealed)
    except BaseException:
        os.unlink(path)
        raise
