"""Every version of every sealed file that a ref leads to, and who could open it."""

from __future__ import annotations

import os

from secretsvc import formats
from secretsvc.cli.report import progress
from secretsvc.errors import KsecretError
from secretsvc.files import workspace
from secretsvc.formats.sops.search import may_be_sealed
from secretsvc.git.history import History
from secretsvc.manifest import reader
from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.operations import documents
from secretsvc.operations.access import Unread
from secretsvc.operations.findings import SHORT
from secretsvc.operations.leaving import Former
from secretsvc.operations.who_opens import BROKEN, facts
from secretsvc.policy.policies import NAME
from secretsvc.policy.reader import MAX_BYTES as MAX_POLICY
from secretsvc.policy.reader import read as read_policy
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from secretsvc.git.history import Change
    from secretsvc.manifest.model import Manifest
    from secretsvc.operations.documents import SealedTree


class FormerVersions(Record):
    """What all commits have."""

    former: list[Former]
    """Versions that the keys open, the oldest first."""
    unread: list[Unread]
    """Versions that can't be read, and name one of the keys, or may be sealed to any."""
    commits: int


def versions(
    top: str, paths: Iterable[str], keys_of: Callable[[Iterable[tuple[str, bytes]]], Container[str]]
) -> FormerVersions:
    """Look through all of history. `keys_of`: the keys that are meant, by every policy that ever stood there.

    `top`: of the work tree; `paths`: what is looked at, in every commit. Raises UsageError, FileError, InputError.
    """
    with History("--since-git") as history:
        all_of_it = history.everything()
        found = list(_once([*history.changes(all_of_it.commits, ()), *all_of_it.tagged]))
        keys = keys_of(_policies(history, found))
        wanted = [one for one in found if _is_below(os.path.relpath(os.path.join(top, one.path)), paths)]
        former: list[Former] = []
        unread: list[Unread] = []
        for change in progress(iter(wanted), len(wanted)):
            file = os.path.relpath(os.path.join(top, change.path))
            try:
                seen = _read(history, change, file)
            except KsecretError as error:
                unread.append(_unread(change, error.line, error.told))
                continue
            for one in facts(seen, file, None):
                if one.state == BROKEN:
                    unread.append(_unread(change, one.line, f"{one.label}: its envelope can't be read"))
                elif one.opened_by(keys):
                    former.append(Former(change.commit, one))
    return FormerVersions(former, unread, len(all_of_it.commits))


def _unread(change: Change, line: int, why: str) -> Unread:
    return Unread(f"{change.commit[:SHORT]}:{change.path}", line, why)


def _once(changes: Iterable[Change]) -> Iterator[Change]:
    """Changes by which a version of a file comes for the first time; a link has no content of its own."""
    seen = set()
    for change in changes:
        if not change.is_link and (change.path, change.blob) not in seen:
            seen.add((change.path, change.blob))
            yield change


def _policies(history: History, changes: Iterable[Change]) -> Iterator[tuple[str, bytes]]:
    """Every version of every policy, with its path."""
    for change in changes:
        if os.path.basename(change.path) == NAME:
            data = history.blob(change.blob, MAX_POLICY, change.path)
            if data is not None:
                yield change.path, data


def people_in(data: bytes) -> dict[str, tuple[str, ...]]:
    """Return the names of a policy; none of one that was never any use, for it can't be read."""
    try:
        return dict(read_policy(data, NAME).named)
    except KsecretError:
        return {}


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(folder in (os.curdir, path) or path.startswith(f"{folder}/") for folder in folders)


def _read(history: History, change: Change, file: str) -> list[Manifest | SealedTree]:
    """Read a version; nothing where it is not sealed. Raises KsecretError for one that seems to be and can't be read.

    What is larger than any manifest is passed over, unless its name is a manifest's.
    """
    is_manifest = workspace.is_manifest(change.path)
    if is_manifest:
        data: bytes | None = history.manifest(change.blob, change.path)
    else:
        data = history.blob(change.blob, MAX_BYTES, change.path)
    if data is None:
        return []
    seen: list[Manifest | SealedTree] = []
    is_sealed, may_be_tree = formats.may_be_sealed(data), documents.may_be_one(data)
    if is_sealed or (is_manifest and may_be_tree):
        try:
            seen.append(reader.read(data, allow_binary_tag=True))
        except KsecretError:
            if is_manifest and formats.holds_sealed(data):
                raise
    if may_be_tree and (is_manifest or may_be_sealed(data, file)):
        tree = documents.find(data, file)
        seen += [tree] if tree else []
    return seen
