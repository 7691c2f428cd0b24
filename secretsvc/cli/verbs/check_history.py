"""`ksecret check --range` and `--pre-receive`: every commit of a branch or a push, judged by its own policies.

What a later commit seals, or takes away, stays in the repository for everybody who can read it.
"""

from __future__ import annotations

import os
import sys

from secretsvc.cli.checking import Source, check_all, ruled, worth_reading
from secretsvc.cli.report import progress
from secretsvc.errors import InputError, KsecretError
from secretsvc.files import workspace
from secretsvc.git.history import MAX_PUSH, History
from secretsvc.manifest.reader import MAX_BYTES as MAX_MANIFEST
from secretsvc.operations.check_keys import keys_shown, new_keys
from secretsvc.policy.people import NOBODY
from secretsvc.policy.policies import Policies
from secretsvc.policy.reader import MAX_BYTES
from secretsvc.policy.sops_configs import SopsConfigs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.cli.checking import Output
    from secretsvc.git.history import Change
    from secretsvc.operations.check_keys import KeysShown
    from secretsvc.operations.findings import Finding
    from secretsvc.policy.people import People


def check_push(paths: list[str], output: Output) -> None:
    """Checks what each commit of a push changed, as Git tells it on standard input. Raises as `check_range`."""
    with History("--pre-receive") as history:
        commits, tips, tagged = history.pushed(_lines())
        _check(history, [*history.changes(commits, paths), *tagged], tips, output)


def check_range(range_: str, paths: list[str], output: Output) -> None:
    """Checks what each commit of `A..B` changed. Raises UsageError, InputError, FileError."""
    with History("--range") as history:
        commits = history.range(range_)
        _check(history, history.changes(commits, paths), commits[-1:], output)


def _check(history: History, changes: Iterable[Change], tips: list[str], output: Output) -> None:
    """Each version of a file is checked once."""
    found = list(_once(history.behind_links(changes, tips)))
    check_all(progress(_sources(history, found), len(found)), output)


def _lines() -> bytes:
    data = sys.stdin.buffer.read(MAX_PUSH + 1)
    if len(data) > MAX_PUSH:
        raise InputError(f"a push of more than {MAX_PUSH // 1024 // 1024} MiB of refs", file="standard input")
    return data


def _once(changes: Iterable[Change]) -> Iterator[Change]:
    """Changes by which a version of a file comes for the first time."""
    seen = set()
    for change in changes:
        if (change.path, change.blob) not in seen:
            seen.add((change.path, change.blob))
            yield change


def _sources(history: History, changes: Iterable[Change]) -> Iterator[Source]:
    known: dict[str, list[KeysShown]] = {}
    commit, policies = "", Policies()
    configs = SopsConfigs(policies)
    for change in changes:
        if change.commit != commit:
            commit, policies = change.commit, _policies(history, change.commit)
            configs = SopsConfigs(policies)
        yield _source(history, change, policies, configs, known)


def _policies(history: History, commit: str) -> Policies:
    """Policies of the commit; the current folder stands for the top of the repository, which may have no work tree."""
    top = os.getcwd()
    return Policies(lambda path: history.file(commit, os.path.relpath(path, top), MAX_BYTES), top)


def _people(policies: Policies, path: str) -> People:
    """The names of a file's policy; none where that can't be used, which is told elsewhere."""
    try:
        found = policies.find(path)
    except KsecretError:
        return NOBODY
    return found.content.people if found else NOBODY


def _source(
    history: History, change: Change, policies: Policies, configs: SopsConfigs, known: dict[str, list[KeysShown]]
) -> Source:
    """`known`: what keys show, by blob; it grows."""
    manifest = workspace.is_manifest(change.path) or change.blob == change.commit

    def read() -> bytes | None:
        return worth_reading(
            lambda: history.manifest(change.blob, change.path),
            lambda most: history.blob(change.blob, most, change.path),
            ruled(configs, change.path),
            manifest=manifest,
        )

    def of(blob: str) -> list[KeysShown]:
        if blob not in known:
            known[blob] = keys_shown(history.blob(blob, MAX_MANIFEST, change.path) or b"")
        return known[blob]

    def also(data: bytes) -> list[Finding]:
        if not manifest:
            return []
        now = known[change.blob] = keys_shown(data)
        before = [one for blob in change.before for one in of(blob)] if now else []
        elsewhere = [one for blob in change.gone for one in of(blob)] if now and not before else []
        return new_keys(now, before, elsewhere, change.path, _people(policies, change.path))

    return Source(change.path, read, policies, manifest, change.commit, also, configs)
