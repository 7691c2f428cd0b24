"""Facts and findings of many files, by several processes where there are many, and the report on them."""

from __future__ import annotations

import os
import time

from secretsvc import formats
from secretsvc.cli.batch import spread
from secretsvc.cli.checking import Source, check_one
from secretsvc.cli.report import progress, report
from secretsvc.errors import InputError, KsecretError
from secretsvc.files.workspace import name_of
from secretsvc.operations.access import Access, Unread
from secretsvc.operations.findings import Finding
from secretsvc.operations.who_opens import SecretFacts, facts
from secretsvc.policy.policies import NAME
from secretsvc.record import Record
from secretsvc.tokens import SOPS_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from secretsvc.cli.options import Targets
    from secretsvc.files.workspace import Item
    from secretsvc.manifest.model import Manifest
    from secretsvc.operations.documents import SealedTree
    from secretsvc.policy.people import People
    from secretsvc.policy.policies import Policy


class FileFacts(Record):
    """What one file tells."""

    secrets: tuple[SecretFacts, ...] = ()
    findings: tuple[Finding, ...] = ()
    error: KsecretError | None = None

    @property
    def on_disk(self) -> bool:
        """Whether the file was changed: never."""
        return False

    def packed(self) -> tuple[Any, ...]:
        """Return it as plain values, to get from a worker process to its parent."""
        from secretsvc.cli.workers import packed

        return tuple(map(tuple, self.secrets)), tuple(map(tuple, self.findings)), self.error and packed(self.error)

    @classmethod
    def unpacked(cls, secrets: Any, findings: Any, error: Any) -> FileFacts:
        """The same again."""
        from secretsvc.cli.workers import unpacked

        told = tuple(SecretFacts(*one) for one in secrets), tuple(Finding(*one) for one in findings)
        return cls(*told, error and unpacked(*error))

    @classmethod
    def lost(cls, path: str, error: KsecretError) -> FileFacts:
        """The end of a file whose worker process has ended."""
        error.file = name_of(path)
        return cls(error=error)


class _ByThisMachine:
    """How files are worked on: nothing but this machine's cores is asked."""

    jobs = 1
    forks = True


def gather(
    items: list[Item], source_of: Callable[[Item], Source], targets: Targets, unread: list[KsecretError]
) -> tuple[Access, int]:
    """Look at each file, tell of those that can't be looked at, and return the report and an exit code.

    `unread`: what could not be looked at so far.
    """
    now = time.time()
    sources = {item.path: source_of(item) for item in items}
    results = spread(items, lambda item: _looked_at(sources[item.path], now), targets, _ByThisMachine(), FileFacts)
    found = list(progress(results, len(items)))
    for error in _once(one.error for one in found):
        report(error, debug=targets.debug)
        unread.append(error)
    secrets = [secret for one in found for secret in one.secrets]
    told = [Unread(name_of(error.file), error.line, error.told) for error in unread]
    policies = _people(secrets, sources.values())
    code = max((error.exit_code for error in unread), default=0)
    findings = [finding for one in found for finding in one.findings]
    return Access(secrets, findings, told, policies.items(), files=len(items), now=now), code


def _once(errors: Iterable[KsecretError | None]) -> list[KsecretError]:
    """Return each, but a policy's mistake once, however many files it is for."""
    return list({(error.where, error.message): error for error in errors if error}.values())


def _looked_at(source: Source, now: float) -> FileFacts:
    seen: list[Manifest | SealedTree] = []
    read: list[bytes | None] = []

    def reading() -> bytes | None:
        read.append(source.read())
        return read[0]

    error: KsecretError | None = None
    findings: list[Finding] = []
    try:
        checked = check_one(source._replace(read=reading), now, seen.append)
        findings = checked.findings if checked else []
        if not seen and _seems_sealed(read[0], source):
            raise InputError("it seems to be sealed, and can't be read", hint="ksecret verify says why")
    except KsecretError as failure:
        failure.file = failure.file or name_of(source.name)
        error = failure
    return FileFacts(tuple(facts(seen, source.name, _policy(source))) if seen else (), tuple(findings), error)


def _seems_sealed(data: bytes | None, source: Source) -> bool:
    if not data:
        return False
    if source.manifest and formats.holds_sealed(data):
        return True
    if SOPS_MARK not in data:
        return False
    from secretsvc.formats.sops.search import may_be_sealed

    return may_be_sealed(data, source.name)


def _policy(source: Source) -> Policy | None:
    """Return its policy; None where it has none that can be used, which `check` tells."""
    try:
        return source.policies.find(source.name)
    except KsecretError:
        return None


def _people(secrets: list[SecretFacts], sources: Iterable[Source]) -> dict[str, People]:
    """Return the names of each policy that stands there or counts for one of the Secrets, by the policy's own name."""
    files = {one.file for one in secrets}
    due = (source for source in sources if source.name in files or os.path.basename(source.name) == NAME)
    of_folders = {os.path.dirname(source.name): source for source in due}
    found = filter(None, map(_policy, of_folders.values()))
    return {policy.source: policy.content.people for policy in found}
