"""The policy for a manifest: the nearest `.ksecret.yaml` upwards from its folder (docs/policy.md).

Knows nothing of backends: KeyRefs are given as they are written. Needs no key and imports no cryptography.
"""

from __future__ import annotations

import os
import re
import stat
from _thread import allocate_lock
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import policy_reader
from secretsvc.errors import FileError, InputError, KsecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from secretsvc.policy_reader import Content, Rule

NAME = ".ksecret.yaml"

MISNAMED = ".ksecret.yml"
"""What people name a policy, too. It is not read, and nothing is sealed where it would count."""

NOWHERE = "-"
"""In place of a manifest's path: standard input, of which nobody said where it belongs, but for the current folder."""


class Policy(NamedTuple):
    """One policy file, as the manifests below its folder see it."""

    source: str
    """The file's name, for messages."""
    folder: str
    content: Content
    locate: Callable[[str], str]
    """A manifest's path → its absolute path."""
    is_misnamed: bool = False
    """Whether it was not read, for its name is MISNAMED."""

    @property
    def has_say(self) -> bool:
        """Whether it is to say which keys a Secret is sealed to, so that none is where it does not."""
        return bool(self.content.rules) or self.is_misnamed

    def relative(self, path: str) -> str:
        """A manifest's path from the policy's folder."""
        return os.path.relpath(self.locate(path), self.folder)

    @property
    def max_age(self) -> int | None:
        """The oldest that a DEK may get, in seconds; None where nothing is said."""
        return self.content.max_age

    @property
    def require_signature(self) -> bool:
        """Whether a PGP-wrapped DEK without a good signature is to be refused."""
        return self.content.require_signature

    def pattern(self, path: str) -> str:
        """What a rule's `path` says for that manifest alone."""
        return "/" + re.sub(r"([*?\[\\])", r"\\\1", self.relative(path))

    def rule_for(self, path: str, namespace: str | None, name: str | None) -> Rule | None:
        """The first rule that fits a Secret in that file; a text that its manifest does not state is empty."""
        return self._rules(path, namespace, name)[0]

    def is_certain(self, path: str, namespace: str | None, name: str | None) -> bool:
        """Whether the keys are known: of NOWHERE they are where every place would give the same."""
        if path != NOWHERE:
            return True
        return len({rule and frozenset(rule.keys) for rule in self._rules(path, namespace, name)}) == 1

    def is_fresh(self, path: str, namespace: str | None, name: str | None) -> bool:
        """Whether every change of a Secret in that file is to make a new DEK: as its rule says, else as the policy.

        Of NOWHERE: whether any place would want it.
        """
        said = [rule and rule.fresh for rule in self._rules(path, namespace, name)]
        return any(self.content.fresh if fresh is None else fresh for fresh in said)

    def _rules(self, path: str, namespace: str | None, name: str | None) -> list[Rule | None]:
        """The rule for a Secret in that file, None where none fits; of NOWHERE, each that it is in some place."""
        relative = None if path == NOWHERE else self.relative(path)
        found: list[Rule | None] = []
        for rule in self.content.rules:
            if rule.fits(relative, namespace or "", name or ""):
                found.append(rule)
                if relative is not None or rule.path is None:
                    return found
        return [*found, None]

    def keys_for(self, path: str, namespace: str | None, name: str | None) -> tuple[str, ...] | None:
        """The KeyRefs, as written, of the first rule that fits; None where none does."""
        rule = self.rule_for(path, namespace, name)
        return rule.keys if rule else None


class Policies:
    """Finds policies, reads each once, and serves several threads."""

    def __init__(self, read: Callable[[str], bytes | None] | None = None, top: str = "") -> None:
        """From disk; or else by `read` (absolute path → content, None for no file), and not above the folder `top`.

        With `top`, which is absolute, links on the disk play no part.
        """
        self._read = read or _from_disk
        self._top = top
        self._found: dict[str, Policy | KsecretError | None] = {}
        self._lock = allocate_lock()

    def find(self, path: str) -> Policy | None:
        """The policy for the manifest at that path; None where there is none.

        The search ends at the top of the repository. Raises InputError for a policy with a mistake in it (file and
        line are the policy's), FileError for one that can't be read.
        """
        with self._lock:
            found = self._of(os.path.dirname(self._locate(path)))
        if isinstance(found, KsecretError):  # a new one each time: callers add to what they catch
            raise type(found)(found.message, hint=found.hint, file=found.file, line=found.line) from found
        return found

    def _locate(self, path: str) -> str:
        if self._top:
            return os.path.abspath(path)
        folder, name = os.path.split(path)
        return os.path.join(os.path.realpath(folder), name)

    def _of(self, folder: str) -> Policy | KsecretError | None:
        passed = []
        while folder not in self._found:
            passed.append(folder)
            self._found[folder] = found = self._in(folder)
            if found or self._is_top(folder):
                break
            del self._found[folder]
            folder = os.path.dirname(folder)
        found = self._found[folder]
        self._found.update(dict.fromkeys(passed, found))
        return found

    def _in(self, folder: str) -> Policy | KsecretError | None:
        path = os.path.join(folder, NAME)
        source = os.path.relpath(path)
        try:
            data = self._read(path)
            content = None if data is None else policy_reader.read(data, source)
        except (FileError, InputError) as error:
            error.file = source
            return error
        return Policy(source, folder, content, self._locate) if content else self._misnamed_in(folder)

    def _misnamed_in(self, folder: str) -> Policy | None:
        path = os.path.join(folder, MISNAMED)
        try:
            is_there = self._read(path) is not None
        except FileError:
            return None
        nothing = policy_reader.Content((), None, False)
        return Policy(os.path.relpath(path), folder, nothing, self._locate, True) if is_there else None

    def _is_top(self, folder: str) -> bool:
        if os.path.dirname(folder) == folder:
            return True
        return folder == self._top if self._top else os.path.exists(os.path.join(folder, ".git"))


def _from_disk(path: str) -> bytes | None:
    """Raises FileError; also where somebody else put a policy into a folder that is open to all, such as /tmp."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
            status, folder = os.fstat(stream.fileno()), os.stat(os.path.dirname(path))
            if not stat.S_ISREG(status.st_mode):  # a pipe or a device has no end, or never begins
                raise FileError("is no file", hint="a policy is a text file of its own", file=path)
            if folder.st_mode & stat.S_IWOTH and status.st_uid not in (os.geteuid(), 0):
                hint = "work in a folder of your own"
                raise FileError("another user's policy, in a folder that everybody can write to", hint=hint, file=path)
            return stream.read(policy_reader.MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=path) from error


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
