"""Checks of many files, wherever they come from, and the output of what is found in them."""

from __future__ import annotations

import os
import time

from secretsvc.cli.report import brief, printable, report, summary
from secretsvc.errors import KsecretError
from secretsvc.files.workspace import name_of
from secretsvc.operations.check import Checked, check_file, check_other
from secretsvc.operations.check_search import holds_identity, may_hold_secret
from secretsvc.policy.policies import MISNAMED, NAME
from secretsvc.record import Record
from secretsvc.tokens import SOPS_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from mmap import mmap
    from typing import Literal, TypeAlias

    from secretsvc.manifest.model import Manifest
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.findings import CheckRule, Finding
    from secretsvc.policy.policies import Policies
    from secretsvc.policy.sops_configs import SopsConfigs

    Seen: TypeAlias = Callable[[Manifest | SealedTree], None]
    """Is given what was read of a file."""

Form: TypeAlias = 'Literal["text", "json", "sarif"]'
"""Form of the output."""

OF_SOPS, _SOPS = ".sops.yaml", b"sops"
MAX_RULED = 8 << 20
"""Bytes up to which a file that a rule of `.sops.yaml` wants sealed is looked at."""
_OTHERS = 1 << 20
"""Bytes up to which files that are no manifests are looked through for identities."""


class Source(Record):
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
    configs: SopsConfigs | None = None
    """Finds its `.sops.yaml`, where there may be one."""


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
            notice = _rule(finding).level == "note" and not self._fails_on_notices
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
            checked = check_one(source, now)
            if checked is None:
                output.passed_over(source)
            else:
                output.add(checked)
        except KsecretError as error:
            error.file = error.file or name_of(source.name)
            output.failed(error, source.commit)


def check_one(
    source: Source, now: float, seen: Callable[[Manifest | SealedTree], None] | None = None
) -> Checked | None:
    """Check one file; None where there is nothing to find in it. `seen`: as `check_file` and `check_tree` have it.

    Raises KsecretError for what can't be looked at.
    """
    of_policy = _of_policy(source)
    data = source.read()
    if data is None and not of_policy:
        return None
    checked = _checked(data or b"", source, now, seen)
    return _also(checked._replace(findings=[*of_policy, *checked.findings]), source, data or b"")


def _of_policy(source: Source) -> list[Finding]:
    """Faults of a policy, or of its name, where the file is one. Raises InputError, FileError."""
    name = os.path.basename(source.name)
    if name == OF_SOPS and source.configs:
        return _of_config(source.configs, source.name)
    if name == MISNAMED:
        said = f"this file is not read: a policy's name is {NAME}, so no rule covers what it was made for"
        from secretsvc.operations.findings import Finding

        return [Finding(source.name, 1, "KS015", said)]
    found = source.policies.find(source.name) if name == NAME else None
    if not found:
        return []
    from secretsvc.operations.check_policy import check_policy

    return list(check_policy(found, source.name))


def _of_config(configs: SopsConfigs, name: str) -> list[Finding]:
    from secretsvc.operations.check_tree import check_config

    found = configs.find(name)
    return list(check_config(found.rules or (), name)) if found else []


def _checked(data: bytes, source: Source, now: float, seen: Callable[[Manifest | SealedTree], None] | None) -> Checked:
    if source.manifest:
        checked = check_file(data, source.name, source.policies, now, seen)
    else:
        checked = check_other(data, source.name)
    if not (source.configs or _SOPS in data):
        return checked
    from secretsvc.operations.check_tree import check_tree  # few repositories have such files

    known = {finding.code for finding in checked.findings}
    more = [finding for finding in check_tree(data, source.name, source.configs, seen) if finding.code not in known]
    return checked._replace(findings=[*checked.findings, *more])


def may_be_of_sops(data: bytes | mmap) -> bool:
    """Tell whether it may be a file that SOPS sealed, be it no manifest by its name."""
    return data.find(SOPS_MARK) >= 0 and data.find(_SOPS) >= 0


def _also(checked: Checked, source: Source, data: bytes) -> Checked:
    found = [*checked.findings, *source.also(data)]
    name = name_of(source.name)
    return checked._replace(findings=[finding._replace(file=name, commit=source.commit) for finding in found])


def may_hold_secrets(data: bytes | mmap) -> bool:
    """Tell whether a manifest of these bytes is worth being read."""
    return may_hold_secret(data) or holds_identity(data) or may_be_of_sops(data)


def may_hold_identities(data: bytes | mmap) -> bool:
    """Tell whether another file of these bytes is worth being looked through for identities."""
    return len(data) <= _OTHERS and (holds_identity(data) or may_be_of_sops(data))


def worth_reading(
    whole: Callable[[], bytes],
    up_to: Callable[[int], bytes | None],
    may_be_ruled: Callable[[bytes | mmap], bool],
    *,
    manifest: bool,
) -> bytes | None:
    """A blob's bytes; None where there can be nothing to find in them. `up_to` gives None for more than so many.

    `may_be_ruled`: as `ruled` has it.
    """
    data = whole() if manifest else up_to(_OTHERS)
    test = may_hold_secrets if manifest else may_hold_identities
    return data if data is not None and (test(data) or may_be_ruled(data)) else None


def ruled(configs: SopsConfigs | None, name: str) -> Callable[[bytes | mmap], bool]:
    """Return what tells of a file's bytes whether a rule of `.sops.yaml` may want the file of that name sealed."""
    if not configs:
        return _never
    from secretsvc.policy.sops_configs import may_be_ruled

    return may_be_ruled if configs.rule_for_found(name) else _never


def _never(_data: bytes | mmap) -> bool:
    return False


def _in_commit(commit: str, file: str) -> str:
    if not commit:
        return file
    from secretsvc.operations.findings import SHORT

    return f"{commit[:SHORT]}:{file}"


def _rule(finding: Finding) -> CheckRule:
    from secretsvc.operations.findings import RULES  # a file without findings needs none of their words

    return RULES[finding.code]


def _as_text(finding: Finding) -> str:
    from secretsvc.cli.colour import BAD, WARNING, painted

    where = printable(f"{_in_commit(finding.commit, finding.file)}:{finding.line}:")
    code = painted(finding.code, BAD if _rule(finding).level == "error" else WARNING)
    return f"{where} {code} {brief(finding.message)}"


def _as_json(finding: Finding) -> str:
    from json import dumps

    return dumps(finding.as_json())
