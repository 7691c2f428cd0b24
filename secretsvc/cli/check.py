"""`ksecret check`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import policy, workspace
from secretsvc.cli.files import STANDARD_INPUT, standard_input
from secretsvc.cli.report import printable, progress, report, summary, warn
from secretsvc.errors import FileError, KsecretError, UsageError
from secretsvc.operations.check import check_file, check_other, holds_identity, may_hold_secret
from secretsvc.operations.findings import RULES

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable
    from mmap import mmap

    from secretsvc.cli.parser import Parser
    from secretsvc.git_index import GitIndex, Staged
    from secretsvc.operations.check import Checked
    from secretsvc.operations.findings import Finding


EXAMPLES = """\
  ksecret check                       every manifest in this folder and below; needs no key
  ksecret check --staged              what the next commit would hold, as Git's index has it
  ksecret check --sarif > ksecret.sarif
exit code: 0 nothing found, 1 findings, 3 and above: something could not be checked"""

_OTHERS = 1 << 20
"""Bytes up to which files that are no manifests are looked through for identities."""


class Source(NamedTuple):
    """A file's name, what reads it (None where there can be nothing to find), and whether it may be a manifest."""

    name: str
    read: Callable[[], bytes | None]
    manifest: bool = True


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument(
        "files", nargs="*", metavar="PATH", help="a manifest or a folder (default: .); - is standard input"
    )
    parser.add_argument("--staged", action="store_true", help="check what Git's index holds that HEAD does not")
    parser.add_argument("--json", action="store_true", help="one JSON object per finding, a line each")
    parser.add_argument("--sarif", action="store_true", help="a SARIF 2.1.0 log, for code scanning")


def run(args: Namespace) -> int:
    """Checks; 0, or 1 where something was found, or the gravest error's exit code."""
    if args.json and args.sarif:
        raise UsageError("--json and --sarif are two forms of one output: choose one")
    output = _Output(args)
    if args.staged:
        _staged(args.files, output)
    else:
        found = workspace.discover(
            args.files or ["."], recursive=True, failed=output.failed, warn=_warn, ignoring=False, suffixes=("",)
        )
        items = list(found)
        sources = (_source(item) for item in items)
        _check(progress(sources, len(items)), policy.Policies(), output)
    return output.finish()


class _Output:
    """Prints findings as they come, or keeps them for SARIF, and counts."""

    def __init__(self, args: Namespace) -> None:
        self._args = args
        self._kept: list[Finding] = []
        self._told: set[tuple[str, str]] = set()
        self._counts = {"checked": 0, "findings": 0, "allowed": 0, "failed": 0}
        self._worst = 0

    def add(self, checked: Checked) -> None:
        """One file's findings."""
        self._counts["checked"] += 1
        self._counts["allowed"] += checked.allowed
        self._counts["findings"] += len(checked.findings)
        for finding in checked.findings:
            if self._args.sarif:
                self._kept.append(finding)
            else:
                print(_as_json(finding) if self._args.json else _as_text(finding))

    def passed_over(self, source: Source) -> None:
        """A file with nothing to find in it; what is no manifest is not worth a word."""
        self._counts["checked"] += source.manifest

    def failed(self, error: KsecretError) -> None:
        """What could not be checked. A policy's mistake is told once, however many files it is for."""
        self._counts["failed"] += 1
        self._worst = max(self._worst, error.exit_code)
        if (error.where, error.message) not in self._told:
            report(error, debug=self._args.debug)
        self._told.add((error.where, error.message))

    def finish(self) -> int:
        """The exit code, after what comes last."""
        if self._args.sarif:
            from json import dumps

            from secretsvc import __version__, sarif

            print(dumps(sarif.log(self._kept, __version__, complete=not self._worst), indent=2))
        summary(self._counts)
        return self._worst or (1 if self._counts["findings"] else 0)


def _check(sources: Iterable[Source], policies: policy.Policies, output: _Output) -> None:
    now = time.time()
    for source in sources:
        try:
            if os.path.basename(source.name) == policy.NAME:
                policies.find(source.name)
            data = source.read()
            if data is None:
                output.passed_over(source)
            elif source.manifest:
                output.add(check_file(data, source.name, policies, now))
            else:
                output.add(check_other(data, source.name))
        except KsecretError as error:
            error.file = error.file or source.name
            output.failed(error)


def _source(item: workspace.Item) -> Source:
    if item.path == "-":
        return Source(STANDARD_INPUT, standard_input)
    manifest = item.named or _is_manifest(item.path)
    return Source(item.path.removeprefix("./"), lambda: _content(item.path, manifest=manifest), manifest)


def _content(path: str, *, manifest: bool) -> bytes | None:
    """A file's bytes; None for one with nothing to find in it, however large it is. Raises FileError for manifests."""
    try:
        snapshot = workspace.read_if(path, _may_hold_secrets if manifest else _may_hold_identities)
    except FileError:
        if manifest:
            raise
        return None  # somebody else's file is no reason to fail
    return snapshot.data if snapshot else None


def _may_hold_secrets(data: bytes | mmap) -> bool:
    return may_hold_secret(data) or holds_identity(data)


def _may_hold_identities(data: bytes | mmap) -> bool:
    return len(data) <= _OTHERS and holds_identity(data)


def _warn(why: str) -> None:
    warn(f"{why}; so what .gitignore names is checked too")


def _staged(paths: list[str], output: _Output) -> None:
    from secretsvc.git_index import GitIndex

    with GitIndex() as index:
        blobs = {os.path.join(index.top, staged.path): staged for staged in index.named(policy.NAME)}
        policies = policy.Policies(lambda path: index.content(blobs[path]) if path in blobs else None, index.top)

        _check((_in_index(index, staged) for staged in index.changed(paths)), policies, output)


def _is_manifest(path: str) -> bool:
    return path.endswith(workspace.SUFFIXES)


def _in_index(index: GitIndex, staged: Staged) -> Source:
    manifest = _is_manifest(staged.path)
    test = _may_hold_secrets if manifest else _may_hold_identities

    def read() -> bytes | None:
        data = index.content(staged) if manifest else index.content_up_to(_OTHERS, staged)
        return data if data is not None and test(data) else None

    return Source(os.path.relpath(os.path.join(index.top, staged.path)), read, manifest)


def _as_text(finding: Finding) -> str:
    return printable(f"{finding.file}:{finding.line}: {finding.code} {finding.message}")


def _as_json(finding: Finding) -> str:
    from json import dumps

    return dumps({**finding._asdict(), "rule": RULES[finding.code].name})
