"""A repository's objects, by the plumbing of the `git` on the path: its commands' output, and contents of blobs.

Names may hold anything, so they are passed with -z, and never where Git could take them for an option or a pattern.
"""

from __future__ import annotations

from secretsvc.errors import BackendUnavailableError, FileError
from secretsvc.programs import git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen
    from types import TracebackType
    from typing import IO

    from secretsvc.errors import KsecretError

FILE_MODES = (b"100644", b"100755")
"""Neither links nor submodules."""
_PATTERN_SETTINGS = tuple(f"GIT_{what}_PATHSPECS" for what in ("LITERAL", "GLOB", "NOGLOB", "ICASE"))


class GitObjects:
    """The repository that the current folder is in, or that GIT_DIR and the like name, as they do in Git's hooks."""

    def __init__(self, needed_by: str, *, bare: bool = False) -> None:
        """`needed_by`: the option that needs Git, for messages. `bare`: the current folder may be a bare repository."""
        self._bare = bare
        self._needed_by = needed_by
        kept = {name: text for name, text in git.environment().items() if name not in _PATTERN_SETTINGS}
        # A pushed refs/replace/… would show another object in the place of the one that is there.
        self._environ = kept | {"GIT_NO_REPLACE_OBJECTS": "1"}
        self._reader: Popen[bytes] | None = None

    def __enter__(self) -> GitObjects:
        from subprocess import PIPE, Popen

        try:
            command = git.command("cat-file", "--batch", bare=self._bare)
            self._reader = Popen(command, stdin=PIPE, stdout=PIPE, env=self._environ)  # noqa: S603
        except (OSError, BackendUnavailableError) as error:
            raise self._not_started(error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._reader:
            self._reader.communicate()

    def git(self, *words: str, stdin: bytes = b"", failed: KsecretError | None = None) -> bytes:
        """Run a command of Git's; gives what it prints. Raises `failed`, or else FileError, where it fails."""
        from subprocess import run

        try:
            command = git.command(*words, bare=self._bare)
            done = run(command, env=self._environ, input=stdin, capture_output=True, check=False)  # noqa: S603
        except (OSError, BackendUnavailableError) as error:
            raise self._not_started(error) from error
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").splitlines() or ["no reason given"]
            raise failed or FileError(f"git failed: {lines[0]}")
        return done.stdout

    def read(self, name: bytes, most: int) -> tuple[bytes, bytes | None]:
        """Type and content of the object of that name (gitrevisions(7)); the type is empty where there is none.

        The content is None where it is more than `most` bytes. Raises FileError.
        """
        _, kind, data = self.find(name, most)
        return kind, data

    def find(self, name: bytes, most: int = 0) -> tuple[bytes, bytes, bytes | None]:
        """The same after the object's id, as hex digits."""
        if b"\n" in name:
            return b"", b"", None  # Git would take it for two names, and each answer after it would be another one's
        stdin, stdout = (self._reader.stdin, self._reader.stdout) if self._reader else (None, None)
        if not (stdin and stdout):
            raise FileError("git was not started")
        try:
            stdin.write(name + b"\n")
            stdin.flush()
        except OSError as error:
            raise FileError("git has ended", hint="try `git fsck`") from error
        said = stdout.readline().split()  # `ID TYPE SIZE`, or `NAME missing` (git-cat-file(1), "Batch output")
        if len(said) != 3 or not said[2].isdigit():
            return b"", b"", None
        return said[0], said[1], _sized(stdout, int(said[2]), most)

    def _not_started(self, error: Exception) -> FileError:
        why = error.strerror if isinstance(error, OSError) else "it is not on the PATH"
        return FileError(f"git can't be started, and {self._needed_by} needs it: {why}", hint="is it installed?")


def _sized(stream: IO[bytes], size: int, most: int) -> bytes | None:
    """Read that many bytes, and a line feed after them. What is too large is read all the same, and thrown away."""
    if size <= most:
        return stream.read(size + 1)[:-1]
    left = size + 1
    while left:
        piece = stream.read(min(left, 1 << 20))
        if not piece:
            raise FileError("git has ended", hint="try `git fsck`")
        left -= len(piece)
    return None
