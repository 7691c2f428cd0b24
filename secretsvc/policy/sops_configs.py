"""Which rule says how a file is sealed in SOPS's format, and whether that format is what a new file is to have.

The nearest policy upwards from the file decides, `.sops.yaml` or `.ksecret.yaml`; where both are in one folder, ours.
SOPS itself looks upwards from where it is called.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

from secretsvc.errors import FileError, InputError, KsecretError
from secretsvc.go_regexp import GoRegexp
from secretsvc.patterns import pattern
from secretsvc.policy.sops_yaml import NAME, CreationRule, key_of, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap

    from secretsvc.policy.policies import Policies, Policy
    from secretsvc.policy.sops_yaml import SopsConfig

_PROSE = (".md", ".rst", ".adoc")
_POLICIES = (NAME, ".ksecret.yaml")
_KUBERNETES = pattern(rb"(?m)^[\"' \t{]*(?:apiVersion|kind)[\"']?[ \t]*:")


def may_be_ruled(data: bytes | mmap) -> bool:
    """Tell whether a rule may be about these bytes of a file found in a folder: they are no Kubernetes object."""
    return not _KUBERNETES.search(data)


class SopsConfigs:
    """Finds `.sops.yaml`, reads each once, and serves several threads."""

    def __init__(self, policies: Policies, named: str = "", tell: Callable[[str], None] = lambda _: None) -> None:
        """`named`: the one that counts for every file, as SOPS_CONFIG has it. `tell`: told which of two wins."""
        self._policies = policies
        self._named = named
        self._tell = tell
        self._found: dict[str, SopsConfig | KsecretError | None] = {}
        """By the folder of the file."""
        self._read: dict[str, SopsConfig] = {}
        self._told: set[str] = set()
        self._lock = allocate_lock()

    def rule_for_new(self, path: str) -> CreationRule | None:
        """The rule by which a new file at that path is sealed in SOPS's format; None where that is not what is meant.

        Raises InputError, also where `.sops.yaml` decides and no rule of it fits; FileError.
        """
        found = self._config(path)
        theirs = found if found and found.rules is not None else None
        policy = self._policies.find(path)
        if policy and policy.has_say and (self._named or not theirs or len(policy.folder) >= len(theirs.folder)):
            if theirs and policy.folder == theirs.folder:
                self._tell_once(f"{policy.source} says how files are sealed there, and {theirs.source} does not")
            return _of_ours(policy, path)
        return theirs.rule_for(self._policies.locate(path)) if theirs else None

    def rule_for_sealed(self, path: str) -> CreationRule | None:
        """The rule for a file that is sealed in SOPS's format, or is to be at any rate; None where there is none.

        Raises InputError, also where rules are there and none fits; FileError.
        """
        found = self._config(path)
        policy = self._policies.find(path)
        is_nearer = policy and (self._named or not found or len(policy.folder) >= len(found.folder))
        ours = _of_ours(policy, path) if policy and is_nearer else None
        return ours or (found.rule_for(self._policies.locate(path)) if found else None)

    def rule_for_found(self, path: str) -> CreationRule | None:
        """The rule that wants a file sealed that was found in a folder; None where none does, or nobody can tell.

        A rule that fits every YAML, JSON or INI file, or every file there is, and says nothing of which values are
        secret, is no reason to take them all for secrets; one for every `.env` or `.key` is.
        """
        from secretsvc.document import kinds

        name, kind = os.path.basename(path), kinds.kind_of(path)
        if name in _POLICIES or (kind == "binary" and (name.startswith(".") or name.lower().endswith(_PROSE))):
            return None
        try:
            rule = self.rule_for_new(path)
        except KsecretError:
            return None  # the policy's own check tells
        end = os.path.splitext(path)[1]
        if not rule or not rule.catches_all(end) or (kind in ("dotenv", "binary") and rule.names_end(end)):
            return rule
        says_which = rule.selection is not None and rule.selection[0].startswith("encrypted_")
        return rule if kind != "binary" and says_which else None

    def find(self, path: str) -> SopsConfig | None:
        """The nearest one upwards from a file, or that of the name `named`. Raises InputError, FileError."""
        return self._config(path)

    def _tell_once(self, text: str) -> None:
        with self._lock:
            is_new = text not in self._told
            self._told.add(text)
        if is_new:
            self._tell(text)

    def _config(self, path: str) -> SopsConfig | None:
        folder = os.path.dirname(self._policies.locate(path))
        with self._lock:
            if folder not in self._found:
                try:
                    self._found[folder] = self._search(path)
                except (InputError, FileError) as error:
                    self._found[folder] = error
            found = self._found[folder]
        if isinstance(found, KsecretError):  # a new one each time: callers add to what they catch
            raise type(found)(found.message, hint=found.hint, file=found.file, line=found.line) from found
        return found

    def _search(self, path: str) -> SopsConfig | None:
        found = _named(self._named) if self._named else self._policies.nearest(path, NAME)
        if not found:
            return None
        place, data = found
        if place not in self._read:
            self._read[place] = read(data, os.path.relpath(place), os.path.dirname(place))
        return self._read[place]


def _of_ours(policy: Policy, path: str) -> CreationRule | None:
    """What a rule of `.ksecret.yaml` that says `format: sops` would be in `.sops.yaml`; None where there is none."""
    rule = policy.sops_rule(path)
    if not rule:
        return None
    from secretsvc.policy.path_patterns import regexp_of

    principals = policy.content.principals
    groups = tuple(
        tuple(key_of(text, rule.line, principals) for text in group) for group in rule.groups or (rule.keys,)
    )
    pattern = GoRegexp(regexp_of(rule.path)) if rule.path else None
    made = CreationRule(rule.line, pattern, groups, rule.threshold, selection=None, mac_only_encrypted=False)
    made.source = policy.source
    return made


def _named(path: str) -> tuple[str, bytes]:
    from secretsvc.policy.reader import MAX_BYTES

    try:
        with open(path, "rb") as stream:
            return os.path.realpath(path), stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"SOPS_CONFIG names it, and it can't be read: {error.strerror}", file=path) from error
