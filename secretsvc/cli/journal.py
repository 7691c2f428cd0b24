"""The report of a run over many files, written as the run goes on, so that an interrupted one can be gone on with."""

from __future__ import annotations

import json
import os
import sys

from secretsvc.cli.report import counted, printable, said
from secretsvc.errors import FileError, KsecretError, UsageError
from secretsvc.files import workspace
from secretsvc.operations.request import stated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import TextIO


class Journal:
    """JSON lines: the run, one per file (`file`, `outcome`, `error`), and the end with the counts.

    `resumed_from`: when the run began (UTC, RFC 3339) that this one goes on with; empty for a new run.
    """

    def __init__(self, path: str, operation: str, shard: str) -> None:
        """Open it; nothing is written where `path` is empty. Raises FileError; UsageError for one that is not ours."""
        self._path = path
        self._run = {"run": operation, "shard": shard}
        self._done: set[str] = set()
        self._counts: dict[str, int] = {}
        self._stream: TextIO | None = None
        self.resumed_from = ""
        if os.path.isfile(path):  # from a pipe or a device, such as /dev/stdout, nothing can be read back
            self._read()

    def has(self, file: str) -> bool:
        """Tell whether the run that was interrupted was done with that file."""
        return file in self._done

    def record(self, file: str, outcome: str, error: KsecretError | None) -> None:
        """One more file."""
        self._counts[outcome] = self._counts.get(outcome, 0) + 1
        self._write({"file": file, "outcome": outcome} | ({"error": said(error)} if error else {}))

    def __enter__(self) -> Journal:
        if self._path:
            special = os.path.exists(self._path) and not os.path.isfile(self._path)
            path = self._path if special else workspace.destination(self._path)
            try:
                self._stream = open(path, "a" if self.resumed_from else "w", encoding="utf-8")
            except OSError as error:
                raise FileError(f"can't be written: {error.strerror}", file=self._path) from error
            self._write(self._run | {"started": stated()})
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if not kind:
            self._write({"finished": stated(), "counts": self._counts})
        if self._stream:
            self._stream.close()

    def _write(self, entry: Mapping[str, object]) -> None:
        if self._stream:
            try:
                print(json.dumps(entry), file=self._stream, flush=True)
            except OSError as error:
                raise FileError(f"can't be written: {error.strerror}", file=self._path) from error

    def _read(self) -> None:
        """Read what an earlier run left, line by line. A last one that was cut off by its end is passed over."""
        first: dict[str, object] = {}
        finished = False
        try:
            with open(self._path, encoding="utf-8") as stream:
                for number, entry in enumerate(map(_parsed, stream)):
                    if not number:
                        first = _of_ours(entry, self._path)
                    finished = finished or "finished" in entry
                    if entry.get("outcome") not in (None, "failed") and "file" in entry:
                        self._done.add(str(entry["file"]))
        except (OSError, UnicodeDecodeError):
            raise FileError("can't be read as a report", file=self._path) from None
        if finished or not first:
            self._done.clear()
            return
        if {"run": first["run"], "shard": first.get("shard")} != self._run:
            raise UsageError("it is the report of an interrupted run of another kind", file=self._path)
        self.resumed_from = str(first["started"])
        began = f"going on with the run that began at {self.resumed_from}"
        print(printable(f"ksecret: {began}: {counted(len(self._done), 'file')} done"), file=sys.stderr)


def _of_ours(first: dict[str, object], path: str) -> dict[str, object]:
    """Return what a file begins with. Raises UsageError where no report begins so."""
    if "run" not in first or "started" not in first:
        raise UsageError("it is not a report of ksecret's: it is not written over", file=path)
    return first


def _parsed(line: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
