"""What is staged: files and policies as the Git index has them, whatever stands in the work tree.

By the plumbing of the `git` on the path, always with -z, so that names may hold anything. It is told nothing that
it could take for an option or a pattern.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, NamedTuple

from secretsvc import git_run
from secretsvc.errors import BackendUnavailableError, FileError, ManifestError, UsageError
from secretsvc.manifest.reader import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_FILE_MODES = (b"100644", b"100755")
"""Neither links nor submodules."""
_PATTERN_SETTINGS = tuple(f"GIT_{what}_PATHSPECS" for what in ("LITERAL", "GLOB", "NOGLOB", "ICASE"))


class Staged(NamedTuple):
    """A file in the index."""

    path: str
    """Relative to the top of the work tree."""
    blob: bytes
    """Its content's object id, as hex digits."""


class GitIndex:
    """The index of the repository that the current folder is in (or that GIT_DIR and GIT_INDEX_FILE name)."""

    def __init__(self) -> None:
        """Raises UsageError outside a work tree, FileError where git is not installed or fails."""
        from subprocess import PIPE, Popen

        self._environ = {name: text for name, text in git_run.environment().items() if name not in _PATTERN_SETTINGS}
        top = self._git(
            "rev-parse", "--show-toplevel", failed=UsageError("--staged needs a Git repository with a work tree")
        )
        self.top = os.fsdecode(top.removesuffix(b"\n"))
        command = git_run.command("cat-file", "--batch")
        self._reader = Popen(command, stdin=PIPE, stdout=PIPE, env=self._environ)  # noqa: S603

    def __enter__(self) -> GitIndex:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._reader.stdin:
            self._reader.stdin.close()
        if self._reader.stdout:
            self._reader.stdout.close()
        self._reader.wait()

    def changed(self, paths: Iterable[str]) -> list[Staged]:
        """The files that a commit would add or change, under those paths (all where there are none)."""
        listed = self._git(
            *("--literal-pathspecs", "diff", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames"),
            *("--no-relative", "--no-ext-diff", "--no-textconv", "--diff-filter=ACMT", "--", *paths),
        )
        words = listed.split(b"\0")[:-1]  # `:MODE MODE ID ID STATUS`, path, and so on (git-diff(1), "Raw output")
        found = []
        for said, path in zip(words[::2], words[1::2], strict=True):
            _, mode, _, blob, _ = said.split()
            if mode in _FILE_MODES:
                found.append(Staged(os.fsdecode(path), blob))
        return found

    def named(self, name: str) -> list[Staged]:
        """Every file of that name in the index, changed or not; unmerged ones are left out."""
        listed = self._git("ls-files", "--stage", "-z", "--full-name", "--", f":(top,glob)**/{name}")
        found = []
        for record in listed.split(b"\0")[:-1]:
            said, _, path = record.partition(b"\t")  # `MODE ID STAGE<tab>path`
            mode, blob, stage = said.split()
            if mode in _FILE_MODES and stage == b"0":
                found.append(Staged(os.fsdecode(path), blob))
        return found

    def content(self, staged: Staged) -> bytes:
        """Its bytes. Raises ManifestError for one that is too large to be a manifest, FileError."""
        found = self.content_up_to(MAX_BYTES, staged)
        if found is None:
            raise ManifestError(f"larger than {MAX_BYTES // 1024 // 1024} MiB", file=staged.path)
        return found

    def content_up_to(self, most: int, staged: Staged) -> bytes | None:
        """Its bytes; None where they are more than `most`. Raises FileError."""
        stdin, stdout = self._reader.stdin, self._reader.stdout
        if not (stdin and stdout):
            raise FileError("git was not started", file=staged.path)
        stdin.write(staged.blob + b"\n")
        stdin.flush()
        said = stdout.readline().split()  # `ID TYPE SIZE`, or `ID missing` (git-cat-file(1), "Batch output")
        if len(said) != 3 or said[1] != b"blob":
            raise FileError("git has not got its staged content", hint="try `git fsck`", file=staged.path)
        return _sized(stdout, int(said[2]), most)

    def _git(self, *words: str, failed: UsageError | None = None) -> bytes:
        from subprocess import run

        try:
            done = run(git_run.command(*words), env=self._environ, capture_output=True, check=False)  # noqa: S603
        except (OSError, BackendUnavailableError) as error:
            raise FileError("git can't be started, and --staged needs it", hint="is it installed?") from error
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").splitlines() or ["no reason given"]
            raise failed or FileError(f"git failed: {lines[0]}")
        return done.stdout


def _sized(stream: IO[bytes], size: int, most: int) -> bytes | None:
    """That many bytes, and a line feed after them. What is too large is read all the same, and thrown away."""
    if size <= most:
        return stream.read(size + 1)[:-1]
    left = size + 1
    while left:
        left -= len(stream.read(min(left, 1 << 20)))
    return None
