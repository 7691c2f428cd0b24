"""`ksecret check`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from secretsvc.cli.batch import name_of, standard_input
from secretsvc.cli.colour import BAD, WARNING, painted
from secretsvc.cli.report import printable, progress, report, summary, warn
from secretsvc.errors import FileError, KsecretError, UsageError
from secretsvc.files import workspace
from secretsvc.operations.check import Checked, check_file, check_other, holds_identity, may_hold_secret
from secretsvc.operations.check_policy import check_policy
from secretsvc.operations.findings import RULES, SHORT, Finding
from secretsvc.policy.policies import MISNAMED, NAME, NOWHERE, Policies

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable
    from mmap import mmap

    from secretsvc.cli.parser import Parser
    from secretsvc.git.index import GitIndex, Staged


EXAMPLES = """\
  ksecret check                       every manifest in this folder and below; needs no key
  ksecret check --staged              what the next commit would hold, as Git's index has it
  ksecret check --range origin/main..HEAD    every commit of a branch, and not only what it ends with
  ksecret check --pre-receive         a push, as a server's pre-receive hook; docs/ci.md shows one
  ksecret check --sarif > ksecret.sarif
exit code: 0 nothing found, 1 findings, 3 and above: something could not be checked"""

Form = Literal["text", "json", "sarif"]
"""Of the output."""

_OTHERS = 1 << 20
"""Bytes up to which files that are no manifests are looked through for identities."""


class Source(NamedTuple):
    """A file to check."""

    name: str
    read: Callable[[], bytes | None]
    """Gives its bytes; None where there can be nothing to find in it."""
    policies: Policies
    manifest: bool = True
    """Whether it may be one."""
    commit: str = ""
    """The id of the commit that it is looked at in."""
    also: Callable[[bytes], list[Finding]] = lambda _: []
    """Gives more findings in its bytes."""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument(
        "files", nargs="*", metavar="PATH", help="a manifest or a folder (default: .); - is standard input"
    )
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="as other commands have it: folders are walked anyway"
    )
    parser.add_argument("--path", metavar="FILE", default="", help="where - will stand, for the rules of .ksecret.yaml")
    parser.add_argument("--staged", action="store_true", help="check what Git's index holds that HEAD does not")
    parser.add_argument(
        "--range", metavar="A..B", default=None, help="check what each commit changed that B has and A has not"
    )
    parser.add_argument(
        "--pre-receive", action="store_true", help="the same of a push: reads Git's OLD NEW REF from standard input"
    )
    parser.add_argument(
        "--fail-on-new-keys", action="store_true", help="new data keys and recipients (KS017) are failures too"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per finding, a line each")
    parser.add_argument("--sarif", action="store_true", help="a SARIF 2.1.0 log, for code scanning")


def run(args: Namespace) -> int:
    """Checks; 0, or 1 where something was found, or the gravest error's exit code."""
    if args.json and args.sarif:
        raise UsageError("--json and --sarif are two forms of one output: choose one")
    if sum((args.staged, args.pre_receive, args.range is not None)) > 1:
        raise UsageError("--staged, --range and --pre-receive name different things to check: choose one")
    if args.path and args.files != ["-"]:
        raise UsageError("--path goes with standard input", hint="ksecret check --path FILE -")
    form: Form = "sarif" if args.sarif else "json" if args.json else "text"
    output = Output(form, fails_on_notices=args.fail_on_new_keys, debug=args.debug)
    if args.staged:
        _staged(args.files, output)
    elif args.pre_receive:
        from secretsvc.cli.verbs.check_history import check_push

        check_push(args.files, output)
    elif args.range is not None:
        from secretsvc.cli.verbs.check_history import check_range

        check_range(args.range, args.files, output)
    else:
        found = workspace.discover(
            args.files or ["."], recursive=True, failed=output.failed, warn=_warn, ignoring=False, suffixes=("",)
        )
        items = list(found)
        policies = Policies()
        sources = (_source(item, policies, args.path) for item in items)
        check_all(progress(sources, len(items)), output)
    return output.finish()


class Output:
    """Prints findings as they come, or keeps them for SARIF, and counts."""

    def __init__(self, form: Form, *, fails_on_notices: bool, debug: bool) -> None:
        """`fails_on_notices`: whether new data keys and recipients count as findings."""
        self._form = form
        self._fails_on_notices = fails_on_notices
        self._debug = debug
        self._kept: list[Finding] = []
        self._told: set[tuple[str, str]] = set()
        self._counts = {"checked": 0, "findings": 0, "allowed": 0, "failed": 0}
        self._notices = 0
        self._worst = 0

    def add(self, checked: Checked) -> None:
        """One file's findings."""
        self._counts["checked"] += 1
        self._counts["allowed"] += checked.allowed
        for finding in checked.findings:
            notice = RULES[finding.code].level == "note" and not self._fails_on_notices
            self._counts["findings"] += not notice
            self._notices += notice
            if self._form == "sarif":
                self._kept.append(finding)
            else:
                print(_as_json(finding) if self._form == "json" else _as_text(finding))

    def passed_over(self, source: Source) -> None:
        """A file with nothing to find in it; what is no manifest is not worth a word."""
        self._counts["checked"] += source.manifest

    def failed(self, error: KsecretError, commit: str = "") -> None:
        """Tell of what could not be checked; of a policy's mistake once, however many files and commits it is for."""
        self._counts["failed"] += 1
        self._worst = max(self._worst, error.exit_code)
        told = error.where, error.message
        if told not in self._told:
            error.file = _in_commit(commit, error.file)
            report(error, debug=self._debug)
        self._told.add(told)

    def finish(self) -> int:
        """The exit code, after what comes last."""
        if self._form == "sarif":
            from json import dumps

            from secretsvc import __version__
            from secretsvc.cli import sarif

            print(dumps(sarif.log(self._kept, __version__, complete=not self._worst), indent=2))
        summary(self._counts | ({"notices": self._notices} if self._notices else {}))
        return self._worst or (1 if self._counts["findings"] else 0)


def check_all(sources: Iterable[Source], output: Output) -> None:
    """Checks each, and tells `output` what it found."""
    now = time.time()
    for source in sources:
        try:
            of_policy = _of_policy(source)
            data = source.read()
            if data is None and not of_policy:
                output.passed_over(source)
            else:
                checked = _checked(data or b"", source, now)
                output.add(_also(checked._replace(findings=[*of_policy, *checked.findings]), source, data or b""))
        except KsecretError as error:
            error.file = error.file or name_of(source.name)
            output.failed(error, source.commit)


def _of_policy(source: Source) -> list[Finding]:
    """Faults of a policy, or of its name, where the file is one. Raises InputError, FileError."""
    name = os.path.basename(source.name)
    if name == MISNAMED:
        said = f"this file is not read: a policy's name is {NAME}, so no rule covers what it was made for"
        return [Finding(source.name, 1, "KS015", said)]
    found = source.policies.find(source.name) if name == NAME else None
    return list(check_policy(found, source.name)) if found else []


def _checked(data: bytes, source: Source, now: float) -> Checked:
    return check_file(data, source.name, source.policies, now) if source.manifest else check_other(data, source.name)


def _also(checked: Checked, source: Source, data: bytes) -> Checked:
    found = [*checked.findings, *source.also(data)]
    name = name_of(source.name)
    return checked._replace(findings=[finding._replace(file=name, commit=source.commit) for finding in found])


def _source(item: workspace.Item, policies: Policies, place: str) -> Source:
    if item.path == "-":
        return Source(place or NOWHERE, standard_input, policies)
    manifest = item.named or workspace.is_manifest(item.path)
    return Source(item.path.removeprefix("./"), lambda: _content(item.path, manifest=manifest), policies, manifest)


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


def _staged(paths: list[str], output: Output) -> None:
    from secretsvc.git.index import GitIndex

    with GitIndex() as index:
        named = (*index.named(NAME), *index.named(MISNAMED))
        blobs = {os.path.join(index.top, staged.path): staged for staged in named}
        policies = Policies(lambda path: index.content(blobs[path]) if path in blobs else None, index.top)

        check_all((_in_index(index, staged, policies) for staged in index.changed(paths)), output)


def worth_reading(whole: Callable[[], bytes], up_to: Callable[[int], bytes | None], *, manifest: bool) -> bytes | None:
    """A blob's bytes; None where there can be nothing to find in them. `up_to` gives None for more than so many."""
    data = whole() if manifest else up_to(_OTHERS)
    test = _may_hold_secrets if manifest else _may_hold_identities
    return data if data is not None and test(data) else None


def _in_index(index: GitIndex, staged: Staged, policies: Policies) -> Source:
    manifest = workspace.is_manifest(staged.path)

    def read() -> bytes | None:
        return worth_reading(
            lambda: index.content(staged), lambda most: index.content_up_to(most, staged), manifest=manifest
        )

    return Source(os.path.relpath(os.path.join(index.top, staged.path)), read, policies, manifest)


def _in_commit(commit: str, file: str) -> str:
    return f"{commit[:SHORT]}:{file}" if commit else file


def _as_text(finding: Finding) -> str:
    where = printable(f"{_in_commit(finding.commit, finding.file)}:{finding.line}:")
    code = painted(finding.code, BAD if RULES[finding.code].level == "error" else WARNING)
    return f"{where} {code} {printable(finding.message)}"


def _as_json(finding: Finding) -> str:
    from json import dumps

    rule = RULES[finding.code]
    told = {name: value for name, value in finding._asdict().items() if name != "commit" or value}
    return dumps({**told, "rule": rule.name} | ({"level": rule.level} if rule.level != "error" else {}))
