"""The Git index: files and policies as they are staged, whatever stands in the work tree."""

from __future__ import annotations

import os

from secretsvc.errors import FileError, ManifestError, UsageError
from secretsvc.git.links import LINK_MODE, MOST_BYTES, Links
from secretsvc.git.objects import FILE_MODES, GitObjects
from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType


class Staged(Record):
    """A file in the index."""

    path: str
    """Relative to the top of the work tree; that of a link to it, maybe."""
    blob: bytes
    """Its content's object id, as hex digits."""


class GitIndex:
    """The index of the repository that the current folder is in (or that GIT_DIR and GIT_INDEX_FILE name)."""

    def __init__(self) -> None:
        """Raises UsageError outside a work tree, FileError where git is not installed or fails."""
        self._objects = GitObjects("--staged")
        outside = UsageError("--staged needs a Git repository with a work tree")
        top = self._objects.git("rev-parse", "--show-toplevel", failed=outside)
        self.top = os.fsdecode(top.removesuffix(b"\n"))

    def __enter__(self) -> GitIndex:
        self._objects.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._objects.__exit__(kind, error, at)

    def changed(self, paths: Iterable[str]) -> list[Staged]:
        """The files that a commit would add or change, under those paths (all where there are none).

        One without a manifest's name has that of each link to it, too; and a link the name of that which it leads to.
        """
        listed = self._objects.git(
            "--literal-pathspecs",
            "diff",
            "--cached",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-relative",
            "--no-ext-diff",
            "--no-textconv",
            "--diff-filter=ACMT",
            "--",
            *paths,
        )
        words = listed.split(b"\0")[:-1]  # `:MODE MODE ID ID STATUS`, path, and so on (git-diff(1), "Raw output")
        found: dict[Staged, None] = {}
        entries, links = self._entries()
        for said, name in zip(words[::2], words[1::2], strict=True):
            _, mode, _, blob, _ = said.split()
            path = os.fsdecode(name)
            if mode in FILE_MODES:
                found |= dict.fromkeys(Staged(one, blob) for one in (path, *links.names_of(path)))
            elif mode == LINK_MODE:
                behind = links.changed(path, self._link(blob))
                found |= dict.fromkeys(Staged(one, entries[to]) for one, to in behind if to in entries)
        return list(found)

    def _entries(self) -> tuple[dict[str, bytes], Links]:
        """Every file of the index by its path, as its content's id, and the links."""
        files, links = {}, []
        for record in self._objects.git("ls-files", "--stage", "-z", "--full-name", "--", ":/").split(b"\0")[:-1]:
            said, _, name = record.partition(b"\t")  # `MODE ID STAGE<tab>path`
            mode, blob, _ = said.split()
            if mode in FILE_MODES:
                files[os.fsdecode(name)] = blob
            elif mode == LINK_MODE:
                links.append((os.fsdecode(name), self._link(blob)))
        return files, Links(links)

    def _link(self, blob: bytes) -> str:
        return os.fsdecode(self._objects.read(blob, MOST_BYTES)[1] or b"")

    def named(self, name: str) -> list[Staged]:
        """Every file of that name in the index, changed or not; unmerged ones are left out."""
        listed = self._objects.git("ls-files", "--stage", "-z", "--full-name", "--", f":(top,glob)**/{name}")
        found = []
        for record in listed.split(b"\0")[:-1]:
            said, _, path = record.partition(b"\t")  # `MODE ID STAGE<tab>path`
            mode, blob, stage = said.split()
            if mode in FILE_MODES and stage == b"0":
                found.append(Staged(os.fsdecode(path), blob))
        return found

    def content(self, staged: Staged) -> bytes:
        """Return its bytes. Raises ManifestError for one that is too large to be a manifest, FileError."""
        found = self.content_up_to(MAX_BYTES, staged)
        if found is None:
            raise ManifestError(f"larger than {MAX_BYTES // 1024 // 1024} MiB", file=staged.path)
        return found

    def content_up_to(self, most: int, staged: Staged) -> bytes | None:
        """Return its bytes; None where they are more than `most`. Raises FileError."""
        kind, data = self._objects.read(staged.blob, most)
        if kind != b"blob":
            raise FileError("git has not got its staged content", hint="try `git fsck`", file=staged.path)
        return data
