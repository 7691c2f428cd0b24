"""Changes of commits, those of a range or of a push, whatever stands in a work tree or the index."""

from __future__ import annotations

import os
import re

from secretsvc.errors import FileError, InputError, ManifestError, UsageError
from secretsvc.git.links import LINK_MODE, MOST_BYTES, Links
from secretsvc.git.objects import FILE_MODES, GitObjects
from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.programs import git
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

MAX_PUSH = 16 * 1024 * 1024
"""Bytes of lines about a push that are read: some 100,000 refs."""
_PUSHED = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (refs/.+)")
_AT_ONCE = 500
"""Commits for which Git lists changes in one call."""
_DEEPEN = "fetch the whole history: git fetch --unshallow (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)"


class Change(Record):
    """A file, or a link, that a commit added or changed. A merge's is one that differs from every parent's."""

    commit: str
    """Its object id, as hex digits; that of a tree or blob where a tag names one."""
    path: str
    """Relative to the top of the repository."""
    blob: str
    before: tuple[str, ...]
    """The blobs that stood there in its parents."""
    gone: tuple[str, ...]
    """The blobs of all files that the commit removed, since a renamed file is one of them."""
    is_link: bool = False
    """Then the blob is the path that it leads to."""


class Pushed(Record):
    """The new things of a push: commits, the oldest first, and files of tags that name no commit."""

    commits: list[str]
    tips: list[str]
    """Commits among them that refs are to name."""
    tagged: list[Change]


class History:
    """The repository that the current folder is in, bare or not, or that Git's variables name in its hooks."""

    def __init__(self, option: str) -> None:
        """`option`: the one that asks for it, for messages."""
        self._option = option
        # Who is in a bare repository may mean it, but not one that was committed as a folder of another.
        self._objects = GitObjects(option, bare=not git.top_above(os.path.realpath(os.curdir)))

    def __enter__(self) -> History:
        """Raises UsageError outside a repository, FileError where git is not installed."""
        self._objects.git("rev-parse", "--git-dir", failed=UsageError(f"{self._option} needs a Git repository"))
        self._objects.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._objects.__exit__(kind, error, at)

    def range(self, text: str) -> list[str]:
        """The commits of `A..B`: what B has and A has not, the oldest first.

        Raises UsageError for a text of another form, InputError for a commit that is not there.
        """
        old, dots, new = text.partition("..")
        if not dots or not old or not new or ".." in new or new.startswith("."):
            hint = "both ends are named, as in --range origin/main..HEAD"
            raise UsageError("--range takes A..B", hint=hint)
        start, end = self._commit(old), self._commit(new)
        return self._commits(f"^{start}\n{end}\n".encode())

    def _commit(self, name: str) -> str:
        """The id of the commit that a word from the command line names."""
        if name.startswith("-"):
            raise UsageError("--range: a commit's name does not begin with a dash")
        if not name.strip("0"):
            hint = "of a new branch, name what it parts from: --range origin/main..BRANCH"
            raise UsageError("--range: zeros are Git's word for no commit", hint=hint)
        why = InputError(f"--range: there is no commit {name}", hint="is its name right, and was it fetched?")
        if self._is_shallow():
            why.hint = _DEEPEN
        found = self._objects.git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", failed=why
        )
        return found.split()[-1].decode()  # old versions of Git repeat --end-of-options

    def pushed(self, lines: bytes) -> Pushed:
        """Find what a push brings that no ref has yet, by the lines that Git gives a pre-receive hook (githooks(5)).

        Raises UsageError where there is no line, InputError for one of another form.
        """
        if not lines.strip():
            raise UsageError(
                "--pre-receive reads Git's lines from standard input, and there was none",
                hint="it is for a repository's hooks/pre-receive; docs/ci.md shows one",
            )
        tips: list[bytes] = []
        tagged: list[Change] = []
        for number, line in enumerate(lines.splitlines(), 1):
            found = _PUSHED.fullmatch(line)
            if not found:
                raise InputError("not a line of Git's about a push (OLD NEW REF)", file="standard input", line=number)
            _, new, ref = found.groups()
            if not new.strip(b"0"):
                continue  # a ref goes, nothing comes
            end, kind, _ = self._objects.find(new + b"^{}")  # what it is in the end, where it is a tag
            if not kind:
                raise FileError("git has not got what the push brings", hint="try `git fsck`", file=os.fsdecode(ref))
            if kind == b"commit":
                tips.append(end)
            else:
                tagged += self._tagged(kind, new.decode(), os.fsdecode(ref))
        commits = self._commits(b"\n".join([*tips, b""]), "--not", "--all") if tips else []
        return Pushed(commits, sorted({tip.decode() for tip in tips}.intersection(commits)), tagged)

    def everything(self) -> Pushed:
        """Find all commits that HEAD or any ref leads to, those of other work trees too, and files of refs that name
        no commit.

        Raises InputError where some of them are missing.
        """
        tagged: list[Change] = []
        for line in self._objects.git("for-each-ref", "--format=%(objectname) %(refname)").splitlines():
            named, _, ref = line.partition(b" ")
            end, kind, _ = self._objects.find(named + b"^{}")
            if not kind:
                raise FileError("git has not got what it names", hint="try `git fsck`", file=os.fsdecode(ref))
            if kind != b"commit":
                tagged += self._tagged(kind, end.decode(), os.fsdecode(ref))
        return Pushed(self._commits(b"", "--all"), [], tagged)

    def _tagged(self, kind: bytes, new: str, ref: str) -> Iterator[Change]:
        target = self._objects.git("rev-parse", "--verify", "--quiet", f"{new}^{{}}").strip().decode()
        if kind == b"blob":
            yield Change(target, ref, target, (), ())
            return
        for mode, blob, path in self._tree(target):
            if mode in FILE_MODES or mode == LINK_MODE:
                yield Change(target, path, blob, (), (), mode == LINK_MODE)

    def _commits(self, tips: bytes, *others: str) -> list[str]:
        """The commits that Git lists for these, the oldest first. Raises InputError where some of them are missing."""
        words = ("rev-list", "--reverse", "--topo-order", "--stdin")
        listed = self._objects.git(*words, *others, stdin=tips).decode().split()
        if self._is_shallow():
            for root in self._objects.git(*words, "--max-parents=0", *others, stdin=tips).split():
                _, commit = self._objects.read(root, MAX_BYTES)
                if commit is None or b"\nparent " in commit.partition(b"\n\n")[0]:
                    short = root[:12].decode()
                    raise InputError(
                        f"{self._option}: the clone is shallow: what came before {short} is not there", hint=_DEEPEN
                    )
        return listed

    def _is_shallow(self) -> bool:
        return self._objects.git("rev-parse", "--is-shallow-repository").strip() == b"true"

    def behind_links(self, changes: Iterable[Change], tips: Iterable[str]) -> Iterator[Change]:
        """The changes of files; and again, by the name of a link to it, of one without a manifest's name.

        Links are those that the changes bring, and those in the trees of `tips`.
        """
        changes = list(changes)
        texts = {change.blob: self._text(change.blob) for change in changes if change.is_link}
        links = Links([*self._links(tips), *((one.path, texts[one.blob]) for one in changes if one.is_link)])
        for change in changes:
            if not change.is_link:
                yield change
                yield from (change._replace(path=name) for name in links.names_of(change.path))
                continue
            for name, target in links.changed(change.path, texts[change.blob]):
                blob = self._blob_at(change.commit, target)
                if blob:
                    yield Change(change.commit, name, blob, (), ())

    def _links(self, tips: Iterable[str]) -> Iterator[tuple[str, str]]:
        for tip in tips:
            for mode, blob, path in self._tree(tip):
                if mode == LINK_MODE:
                    yield path, self._text(blob)

    def _tree(self, tree: str) -> Iterator[tuple[bytes, str, str]]:
        """Mode, object id and path of all that a commit or tree holds."""
        for record in self._objects.git("ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0")[:-1]:
            said, _, path = record.partition(b"\t")  # `MODE TYPE ID<tab>path`
            mode, _, blob = said.split()
            yield mode, blob.decode(), os.fsdecode(path)

    def _blob_at(self, commit: str, path: str) -> str:
        """The id of the blob that a commit's (or tree's) file is; empty where there is none."""
        if path.startswith(("./", "../")):
            return ""
        if "\n" in path:  # which no line of a batch can hold
            words = ("ls-tree", "-z", "--full-tree", commit, "--", path)
            found = self._objects.git("--literal-pathspecs", *words).partition(b"\t")[0].split()
            return found[2].decode() if found and found[1] == b"blob" else ""
        blob, kind, _ = self._objects.find(os.fsencode(f"{commit}:{path}"))
        return blob.decode() if kind == b"blob" else ""

    def _text(self, blob: str) -> str:
        return os.fsdecode(self._objects.read(blob.encode(), MOST_BYTES)[1] or b"")

    def changes(self, commits: list[str], paths: Iterable[str]) -> Iterator[Change]:
        """Files that each of the commits added or changed, under those paths (everywhere where there are none)."""
        words = ("--literal-pathspecs", "diff-tree", "--stdin", "--root", "-r", "-c", "--raw", "-z", "--no-renames")
        paths = ("--no-abbrev", "--no-relative", "--no-ext-diff", "--", *paths)
        for at in range(0, len(commits), _AT_ONCE):
            asked = "\n".join([*commits[at : at + _AT_ONCE], ""]).encode()
            yield from _changes(self._objects.git(*words, *paths, stdin=asked))

    def blob(self, blob: str, most: int, path: str) -> bytes | None:
        """Return its bytes; None where they are more than `most`. Raises FileError."""
        kind, data = self._objects.read(blob.encode(), most)
        if kind != b"blob":
            hint = "a partial clone lacks it: clone without --filter; else try `git fsck`"
            raise FileError("git has not got its content", hint=hint, file=path)
        return data

    def manifest(self, blob: str, path: str) -> bytes:
        """Return its bytes. Raises ManifestError for one that is too large to be a manifest, FileError."""
        found = self.blob(blob, MAX_BYTES, path)
        if found is None:
            raise ManifestError(f"larger than {MAX_BYTES // 1024 // 1024} MiB", file=path)
        return found

    def file(self, commit: str, path: str, most: int) -> bytes | None:
        """The content of a commit's (or tree's) file; None where there is none. Raises FileError for one too large."""
        blob = self._blob_at(commit, path)
        kind, data = self._objects.read(blob.encode(), most) if blob else (b"", None)
        if kind == b"blob" and data is None:
            raise FileError(f"larger than {most // 1024} KiB", file=path)
        return data if kind == b"blob" else None


def _changes(listed: bytes) -> Iterator[Change]:
    """Parse the raw output of git-diff-tree(1) with -z: an id, then records `:MODE… ID… STATUS`, each before its path.

    There is a colon, and a mode and an id, for each parent; the last mode and id are the commit's own.
    """
    words = iter(listed.split(b"\0")[:-1])
    commit = ""
    found: list[tuple[bytes, bytes, list[bytes], bool]] = []
    gone: list[str] = []

    def told() -> Iterator[Change]:
        for path, blob, before, is_link in found:
            held = tuple(map(bytes.decode, before))
            yield Change(commit, os.fsdecode(path), blob.decode(), held, tuple(gone), is_link)

    for word in words:
        if not word.startswith(b":"):
            yield from told()
            commit, found, gone = word.decode(), [], []
            continue
        path = next(words)
        parents = len(word) - len(word.lstrip(b":"))
        said = word.lstrip(b":").split()
        *modes, mode = said[: parents + 1]
        *ids, blob = said[parents + 1 : 2 * parents + 2]
        before = [one for one, its in zip(ids, modes, strict=True) if its in FILE_MODES]
        if mode in FILE_MODES and blob not in before:
            found.append((path, blob, before, False))
        elif mode not in FILE_MODES:
            gone += map(bytes.decode, before)
            if mode == LINK_MODE:
                found.append((path, blob, [], True))
    yield from told()
