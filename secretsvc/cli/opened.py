"""Files opened in memory, all of them or none, for commands that hand them on."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import workspace
from secretsvc.cli import options
from secretsvc.cli.files import content, may_be_sealed, name_of
from secretsvc.cli.opening import opener
from secretsvc.cli.report import report, tell_unbound, warn_of_walk
from secretsvc.errors import KsecretError, NotSealedError, UsageError
from secretsvc.operations.check import may_hold_secret
from secretsvc.operations.open import nothing_sealed_in, refuse_lost_in, refuse_no_manifest

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from secretsvc.operations.result import Result


class Clear(NamedTuple):
    """A file's name as messages give it, and its content in the clear."""

    name: str
    data: bytes
    bound: bool = True

    def __repr__(self) -> str:
        return f"Clear({self.name!r}, masked)"


def open_all(args: Namespace, *, pass_clear: bool, warn: bool = True) -> tuple[list[Clear], int]:
    """Every file that `args.files` and `args.recursive` mean, opened, and the exit code: 0, or the worst of failures.

    With `pass_clear` a manifest in which nothing is sealed is passed on as it is; without, it is passed over in a
    folder and a failure where it was named. Hidden files in folders are passed over. Each failure has been told of.
    `warn`: tell of files in a format that does not bind. Raises UsageError.
    """
    if not args.files:
        raise UsageError("no file named", hint="name a sealed manifest, or - for standard input")
    if args.files.count("-") > 1:
        raise UsageError("standard input can be read once only")
    failures: list[KsecretError] = []
    found = workspace.discover(args.files, recursive=args.recursive, failed=failures.append, warn=warn_of_walk)
    items = [item for item in found if item.named or not os.path.basename(item.path).startswith(".")]
    known, open_ = opener(args)
    work = partial(_open, open_, pass_clear)
    opened: list[Clear] = []
    for outcome in workspace.in_order(items, work, options.jobs(args, known)):
        if isinstance(outcome, Clear):
            opened.append(outcome)
        elif outcome:
            failures.append(outcome)
    for error in failures:
        report(error, debug=args.debug)
    if warn:
        tell_unbound(sum(not one.bound for one in opened))
    return opened, max((error.exit_code for error in failures), default=0)


def _clear(data: bytes, item: workspace.Item, *, pass_clear: bool) -> Clear | None:
    """A file with nothing sealed in it, passed on or over. Raises InputError for what is no manifest or was named."""
    if may_hold_secret(data):
        refuse_lost_in(data)
    if pass_clear:
        refuse_no_manifest(data)
        return Clear(name_of(item.path), data)
    if item.named:
        raise nothing_sealed_in(data)
    return None


def _open(open_: Callable[[bytes, str], Result], pass_clear: bool, item: workspace.Item) -> Clear | KsecretError | None:
    """What became of one file; None where it is passed over."""
    name = name_of(item.path)
    try:
        data = content(item.path)
        try:
            if not may_be_sealed(data.replace(b"\0", b"")):  # in UTF-16, too
                return _clear(data, item, pass_clear=pass_clear)
            opened = open_(data, item.path)
            return Clear(name, opened.data, opened.bound)
        except NotSealedError:
            if pass_clear:
                return Clear(name, data)
            if item.named:
                raise
            return None
    except KsecretError as error:
        error.file = error.file or name
        return error
