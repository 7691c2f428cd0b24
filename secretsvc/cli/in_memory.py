"""Files opened in memory, all of them or none, for commands that hand them on."""

from __future__ import annotations

import os
from functools import partial
from itertools import groupby

from secretsvc.cli.batch import content, may_be_sealed, spread, stream
from secretsvc.cli.report import report, tell_unbound, warn_of_walk
from secretsvc.errors import FileError, InputError, KsecretError, ManifestError, NotSealedError, UsageError
from secretsvc.files import workspace
from secretsvc.files.workspace import name_of
from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.operations.check_search import may_hold_secret
from secretsvc.operations.open import nothing_sealed_in, refuse_lost_in, refuse_no_manifest
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from secretsvc.cli.options import Targets
    from secretsvc.cli.session import Opener
    from secretsvc.operations import Result


class ClearFile(Record):
    """A file's name as messages give it, and its content in the clear."""

    name: str
    data: bytes
    bound: bool = True

    def __repr__(self) -> str:
        return f"ClearFile({self.name!r}, masked)"


class _Outcome(Record):
    """The end of one file: opened, failed, or neither, where it is passed over."""

    opened: ClearFile | None = None
    error: KsecretError | None = None

    @property
    def on_disk(self) -> bool:
        """Whether the file was changed: nothing is written."""
        return False

    def packed(self) -> tuple[Any, ...]:
        """Return it as plain values, to get from a worker process to its parent."""
        from secretsvc.cli.workers import packed

        return self.opened and tuple(self.opened), self.error and packed(self.error)

    @classmethod
    def unpacked(cls, opened: Any, error: Any) -> _Outcome:
        """The same again."""
        from secretsvc.cli.workers import unpacked

        return cls(opened and ClearFile(*opened), error and unpacked(*error))

    @classmethod
    def lost(cls, path: str, error: KsecretError) -> _Outcome:
        """The end of a file whose worker process has ended."""
        error.file = name_of(path)
        return cls(error=error)


def handed_on(targets: Targets, opener: Opener) -> tuple[bytes, int]:
    """One stream of every file, as `kubectl apply` is to get it, sealed or not, and the exit code.

    Where that is not 0 there is no stream: a part of the files would pass for the whole. Raises UsageError, InputError.
    """
    from secretsvc.operations.output import as_data

    opened, failed = open_all(targets, opener, pass_clear=True)
    if not (opened or failed):
        raise InputError("no manifest is there to hand on")
    return b"" if failed else stream([as_data(one.data) for one in opened]), failed


def open_all(targets: Targets, opener: Opener, *, pass_clear: bool, warn: bool = True) -> tuple[list[ClearFile], int]:
    """Every file, opened, and the exit code: 0, or the worst of failures.

    With `pass_clear` a manifest in which nothing is sealed is passed on as it is; without, it is passed over in a
    folder and a failure where it was named. A folder's files come in kubectl's order, without hidden ones; a link out
    of it is a failure, for the stream would lack what kubectl reads there. Each failure has been told of. `warn`: tell
    of files in a format that does not bind. Raises UsageError.
    """
    if not targets.files:
        raise UsageError("no file named", hint="name a sealed manifest, or - for standard input")
    if targets.files.count("-") > 1:
        raise UsageError("standard input can be read once only")
    failures: list[KsecretError] = []

    def refuse(link: str) -> None:
        if not is_hidden(workspace.Item(link, False)):
            what, hint = "a link that leads out of the folder, or nowhere", "put the file in its place, or remove it"
            failures.append(FileError(what, hint=hint, file=link))

    found = workspace.discover(
        targets.files, recursive=targets.recursive, failed=failures.append, warn=warn_of_walk, passed_over=refuse
    )
    items = _as_kubectl(item for item in found if not is_hidden(item))
    work = partial(_open, opener, pass_clear)
    opened: list[ClearFile] = []
    for outcome in spread(items, work, targets, opener, _Outcome):
        if outcome.opened:
            opened.append(outcome.opened)
        if outcome.error:
            failures.append(outcome.error)
    for error in failures:
        report(error, debug=targets.debug)
    if warn:
        tell_unbound(sum(not one.bound for one in opened))
    return opened, max((error.exit_code for error in failures), default=0)


def is_hidden(item: workspace.Item) -> bool:
    """Tell whether a file is hidden that was found in a folder: such as `.ksecret.yaml`, which is none of kubectl's."""
    return not item.named and os.path.basename(item.path).startswith(".")


def _as_kubectl(items: Iterable[workspace.Item]) -> list[workspace.Item]:
    """Each folder's files by name, a subfolder's where its name comes: what is applied first is there first.

    As kubectl walks (Go's filepath.Walk).
    """
    return [
        item
        for root, found in groupby(items, lambda item: item.root)
        for item in (sorted(found, key=lambda item: os.fsencode(item.path).split(b"/")) if root else found)
    ]


def open_sealed(opener: Opener, data: bytes, name: str) -> Result:
    """A file's bytes opened; where they have no mark of being sealed, not even read by the opener.

    Raises NotSealedError, AlteredError for sealed text without a mark too, ManifestError for more than was read of a
    pipe, and what the opener raises.
    """
    if len(data) > MAX_BYTES:
        raise ManifestError(f"larger than {MAX_BYTES // 1024 // 1024} MiB")
    if may_be_sealed(data.replace(b"\0", b"")):  # in UTF-16, too
        return opener.open(data, name)
    if may_hold_secret(data):
        refuse_lost_in(data)
    raise NotSealedError("nothing in it is sealed")


def _open(opener: Opener, pass_clear: bool, item: workspace.Item) -> _Outcome:
    """Open one file."""
    name = name_of(item.path)
    try:
        data = content(item.path)
        try:
            opened = open_sealed(opener, data, item.path)
            return _Outcome(ClearFile(name, opened.data, opened.bound))
        except NotSealedError:
            if pass_clear:
                refuse_no_manifest(data)
                return _Outcome(ClearFile(name, data))
            if item.named:
                raise nothing_sealed_in(data) from None
            return _Outcome()
    except KsecretError as error:
        error.file = error.file or name
        return _Outcome(error=error)
