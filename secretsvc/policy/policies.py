"""The policy for a manifest: the nearest `.ksecret.yaml` upwards from its folder (docs/policy.md).

It is looked for in a repository's folders, up to its top; elsewhere in one's own. Whoever may put a file into a folder
above a manifest could otherwise choose whom others seal to, or stop their work: as Git's safe.directory has it, a
folder is believed for its owner's sake.

Knows nothing of backends: KeyRefs are given as they are written. Needs no key and imports no cryptography.
"""

from __future__ import annotations

import os
import stat
from _thread import allocate_lock
from itertools import takewhile

from secretsvc.errors import BackendUnavailableError, FileError, InputError, KsecretError
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from secretsvc.keyref import Keyset
    from secretsvc.policy.reader import Content, KeyRule

NAME = ".ksecret.yaml"

MISNAMED = ".ksecret.yml"
"""A name that people give a policy, too. It is not read, and nothing is sealed where it would count."""

NOWHERE = "-"
"""A path's stand-in: standard input, of which nobody said where it belongs, but for the current folder."""

_SPECIAL = pattern(r"[*?\[\\]")
"""What means something in a rule's `path`."""

_DEMANDS_SIGNATURES = pattern(rb"(?i)require[-_ ]?signature(?![\"']?[ \t]*:[ \t]*false\b)")
"""Text of a policy that no file is opened without a look at signatures for, be it broken in other places or there."""


class Policy(Record):
    """One policy file, as the manifests below its folder see it."""

    source: str
    """The file's name, for messages."""
    folder: str
    content: Content
    locate: Callable[[str], str]
    """A manifest's path → its absolute path."""
    keysets: dict[KeyRule, Keyset]
    """Of its rules, those whose keys were made canonical by now: many files have the same rule."""
    is_misnamed: bool = False
    """Whether it was not read, for its name is MISNAMED."""

    @property
    def has_say(self) -> bool:
        """Tell whether it is to say which keys a Secret is sealed to, so that none is where it does not."""
        return bool(self.content.rules) or self.is_misnamed

    def relative(self, path: str) -> str:
        """A manifest's path from the policy's folder."""
        located, above = self.locate(path), os.path.join(self.folder, "")
        return located.removeprefix(above) if located.startswith(above) else os.path.relpath(located, self.folder)

    @property
    def max_age(self) -> int | None:
        """The oldest that a DEK may get, in seconds; None where nothing is said."""
        return self.content.max_age

    @property
    def require_signature(self) -> bool:
        """Tell whether a PGP-wrapped DEK without a good signature is to be refused."""
        return self.content.require_signature

    def pattern(self, path: str) -> str:
        """The `path` of a rule for that manifest alone."""
        return "/" + _SPECIAL.sub(r"\\\g<0>", self.relative(path))

    def rule_for(self, path: str, namespace: str | None, name: str | None) -> KeyRule | None:
        """The first rule that fits a Secret in that file; a text that its manifest does not state is empty."""
        return self._rules(path, namespace, name)[0]

    def sops_rule(self, path: str) -> KeyRule | None:
        """The rule by which a file is sealed in SOPS's format, whole; None where its path's first rule says none.

        Rules that go by namespace or name have no say in that.
        """
        relative = None if path == NOWHERE else self.relative(path)
        fitting = (rule for rule in self.content.rules if not (rule.namespace or rule.name))
        first = next((rule for rule in fitting if rule.fits(relative, "", "")), None)
        return first if first and first.format else None

    def is_certain(self, path: str, namespace: str | None, name: str | None) -> bool:
        """Tell whether the keys are known: of NOWHERE they are where every place would give the same."""
        if path != NOWHERE:
            return True
        rules = self._rules(path, namespace, name)
        return len({rule and (frozenset(rule.keys), rule.groups, rule.threshold) for rule in rules}) == 1

    def is_fresh(self, path: str, namespace: str | None, name: str | None) -> bool:
        """Tell whether every change of a Secret in that file makes a new DEK: as its rule says, else as the policy.

        Of NOWHERE: whether any place would want it.
        """
        said = [rule and rule.fresh for rule in self._rules(path, namespace, name)]
        return any(self.content.fresh if fresh is None else fresh for fresh in said)

    def _rules(self, path: str, namespace: str | None, name: str | None) -> list[KeyRule | None]:
        """The rule for a Secret in that file, None where none fits; of NOWHERE, each that it is in some place."""
        relative = None if path == NOWHERE else self.relative(path)
        found: list[KeyRule | None] = []
        for rule in self.content.rules:
            if rule.fits(relative, namespace or "", name or ""):
                found.append(rule)
                if relative is not None or rule.path is None:
                    return found
        return [*found, None]


class _Broken(Record):
    """A policy that can't be used."""

    error: KsecretError
    demands_signatures: bool
    """Whether its text says so, as far as that was read."""


class Policies:
    """Finds policies, reads each once, and serves several threads."""

    def __init__(self, read: Callable[[str], bytes | None] | None = None, top: str = "") -> None:
        """Read from disk, or by `read` (absolute path → content, None for no file), and not above the folder `top`.

        With `top`, which is absolute, links on the disk and the owners of its folders play no part.
        """
        self._read = read or _from_disk
        self._top = top
        self._found: dict[str, Policy | _Broken | None] = {}
        """Policies by the folder of the manifest."""
        self._in_folder: dict[str, Policy | _Broken | None] = {}
        self._real: dict[str, str] = {}
        """Folders without links in them, by what they are called."""
        self._lock = allocate_lock()

    def find(self, path: str) -> Policy | None:
        """The policy for the manifest at that path; None where there is none.

        The search ends at the top of the repository; outside of one, where the folders are not one's own any more.
        Raises InputError for a policy with a mistake in it (file and line are the policy's), FileError for one that
        can't be read, or that is another user's.
        """
        found = self._for(path)
        if isinstance(found, _Broken):
            raise _again(found.error) from found.error
        return found

    def find_for_opening(self, path: str, warn: Callable[[KsecretError], None]) -> Policy | None:
        """The same for those who only open, and can do without: of one that can't be used `warn` is told.

        Raises InputError where its text says `requireSignature` all the same.
        """
        found = self._for(path)
        if not isinstance(found, _Broken):
            return found
        if found.demands_signatures:
            raise _again(found.error) from found.error
        warn(_again(found.error))
        return None

    def nearest(self, path: str, name: str) -> tuple[str, bytes] | None:
        """The nearest file of another name upwards from a file, where a policy would count; as `nearest` on disk."""
        if not self._top:
            return nearest(path, name)
        for folder in upwards(os.path.dirname(self.locate(path)), self._top):
            data = self._read(os.path.join(folder, name))
            if data is not None:
                return os.path.join(folder, name), data
        return None

    def _for(self, path: str) -> Policy | _Broken | None:
        with self._lock:
            folder = os.path.dirname(self.locate(path))
            if folder not in self._found:
                self._found[folder] = self._search(folder)
            return self._found[folder]

    def locate(self, path: str) -> str:
        """A file's absolute path, links to its folder followed where the disk counts."""
        if self._top:
            return os.path.abspath(path)
        folder, name = os.path.split(path)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return os.path.join(self._real[folder], name)

    def _search(self, folder: str) -> Policy | _Broken | None:
        if self._top:
            return self._nearest(upwards(folder, self._top))
        own, foreign = _reach(folder)
        found = self._nearest(own)
        paths = [os.path.join(above, name) for above in foreign for name in (NAME, MISNAMED)]
        there = next((path for path in paths if os.path.lexists(path) and not _is_planted(path)), "")
        if found or not there:
            return found
        if _is_safe_to_git(foreign[-1]):
            return self._nearest(foreign)
        return _Broken(_not_taken(there, foreign[-1]), demands_signatures=False)

    def _nearest(self, folders: Iterable[str]) -> Policy | _Broken | None:
        return next((found for found in map(self._in, folders) if found), None)

    def _in(self, folder: str) -> Policy | _Broken | None:
        if folder not in self._in_folder:
            self._in_folder[folder] = self._read_in(folder)
        return self._in_folder[folder]

    def _read_in(self, folder: str) -> Policy | _Broken | None:
        path = os.path.join(folder, NAME)
        source = os.path.relpath(path)
        data: bytes | None = None
        content: Content | None = None
        try:
            data = self._read(path)
            if data is not None:
                from secretsvc.policy import reader  # and what it needs, where there is a policy

                content = reader.read(data, source)
        except (FileError, InputError) as error:
            error.file = source
            text = (data or b"").replace(b"\0", b"")  # in UTF-16, too
            return _Broken(error, _DEMANDS_SIGNATURES.search(text) is not None)
        return Policy(source, folder, content, self.locate, {}) if content else self._misnamed_in(folder)

    def _misnamed_in(self, folder: str) -> Policy | None:
        path = os.path.join(folder, MISNAMED)
        try:
            is_there = self._read(path) is not None
        except FileError:
            return None
        if not is_there:
            return None
        from secretsvc.policy.reader import Content

        return Policy(os.path.relpath(path), folder, Content((), None, False), self.locate, {}, True)


def nearest(path: str, name: str) -> tuple[str, bytes] | None:
    """Return the nearest file of that name upwards from a file, absolute, and its content, where a policy would count.

    None where there is none. Raises InputError for one in a repository of another user's, unless Git is told to trust
    that; FileError for one that can't be read.
    """
    own, foreign = _reach(os.path.realpath(os.path.dirname(path)))
    found = _first(own, name)
    if found or not foreign:
        return found
    there = (os.path.join(above, name) for above in foreign)
    untaken = next((one for one in there if os.path.lexists(one) and not _is_planted(one)), "")
    if not untaken:
        return None
    if not _is_safe_to_git(foreign[-1]):
        raise _not_taken(untaken, foreign[-1])
    return _first(foreign, name)


def _first(folders: Iterable[str], name: str) -> tuple[str, bytes] | None:
    for folder in folders:
        path = os.path.join(folder, name)
        data = _from_disk(path)
        if data is not None:
            return path, data
    return None


def _again(error: KsecretError) -> KsecretError:
    """A new one each time: callers add to what they catch."""
    return type(error)(error.message, hint=error.hint, file=error.file, line=error.line)


def _not_taken(path: str, top: str) -> InputError:
    from shlex import quote

    return InputError(
        "this policy is not taken: its repository belongs to another user",
        hint=f"if you trust it: git config --global --add safe.directory {quote(top)}",
        file=os.path.relpath(path),
    )


def _from_disk(path: str) -> bytes | None:
    """Read a policy; None also where a stranger put it into a folder open to all, such as /tmp. Raises FileError."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
            if _is_planted(path):
                return None
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):  # a pipe or a device has no end, or never begins
                raise FileError("is no file", hint="a policy is a text file of its own", file=path)
            from secretsvc.policy.reader import MAX_BYTES

            return stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=path) from error


def _reach(folder: str) -> tuple[list[str], list[str]]:
    """The folders, nearest first, whose policies count, and the rest of a repository of somebody else's, up to its top.

    For a manifest in that folder, which is absolute, without links, and need not be there yet.
    """
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    owners = {os.geteuid(), _invoker(), _owner(folder)}
    top = _top(folder)
    chain = list(upwards(folder, top))
    if top and _owner(top) in owners:
        return chain, []
    own = [folder, *takewhile(lambda above: _is_kept(above, owners), chain[1:])]
    return own, chain[len(own) :] if top else []


def _is_planted(path: str) -> bool:
    """Tell whether a stranger put a file or a link into a folder that everybody can write to. Raises OSError."""
    folder = os.stat(os.path.dirname(path))
    known = {os.geteuid(), _invoker(), folder.st_uid, 0}
    return bool(folder.st_mode & stat.S_IWOTH) and os.lstat(path).st_uid not in known


def is_for_all(folder: str) -> bool:
    """Tell whether it is a place for everybody's files, such as /tmp. Raises OSError."""
    for_all = stat.S_IWOTH | stat.S_ISVTX
    return os.stat(folder).st_mode & for_all == for_all


def _is_safe_to_git(top: str) -> bool:
    """Tell whether the user told Git to trust a repository of somebody else's (git-config(1), safe.directory)."""
    from secretsvc.programs.git import git

    try:
        return git("-C", top, "rev-parse", "--git-dir").returncode == 0
    except BackendUnavailableError:
        return False


def _invoker() -> int:
    """The user behind root: whoever called sudo, as for Git; else -1, which is nobody."""
    caller = os.environ.get("SUDO_UID", "")
    return int(caller) if os.geteuid() == 0 and caller.isascii() and caller.isdecimal() else -1


def _owner(path: str) -> int:
    """-2, which is nobody, for what can't be looked at."""
    try:
        return os.stat(path).st_uid
    except OSError:
        return -2


def _is_kept(folder: str, owners: set[int]) -> bool:
    """Tell whether it belongs to one of them, and is no place for everybody's files."""
    return _owner(folder) in owners and not is_for_all(folder)


def _top(folder: str) -> str:
    """The nearest folder upwards with a `.git` in it that no stranger put there; empty where there is none."""
    for above in upwards(folder, ""):
        mark = os.path.join(above, ".git")
        if os.path.lexists(mark) and not _is_planted(mark):
            return above
    return ""


def upwards(folder: str, last: str) -> Iterator[str]:
    """The folder and those above it, up to `last` or the root."""
    yield folder
    while folder not in (last, os.path.dirname(folder)):
        folder = os.path.dirname(folder)
        yield folder


def starter(keys: Iterable[str]) -> str:
    """The text of a first policy: every Secret sealed to these KeyRefs."""
    from secretsvc.manifest.scalars import canonical

    lines = [
        "# Which keys Secrets are sealed to: the first rule that fits counts (path, namespace, name).",
        "version: 1",
        "rules:",
        "  - keys:",
        *(f"      - {canonical(key, flow=False)}" for key in keys),
    ]
    return "\n".join(lines) + "\n"
