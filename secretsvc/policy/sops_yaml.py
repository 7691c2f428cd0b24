"""The text of a `.sops.yaml` → its creation rules: which keys a file is sealed to, and which of its leaves.

What it may hold: https://github.com/getsops/sops/blob/main/config/config.go (configFile). SOPS passes over what it
does not know, and takes a pattern that is none for one that fits nothing: here each mistake is an error with its line.
A member of the top that holds YAML anchors is passed over, whatever it is called: people list their keys there, for
aliases. `destination_rules` are not read: nothing is published.
"""

from __future__ import annotations

import os
import re

from secretsvc import backends
from secretsvc.errors import InputError, KeyRefError, nearest
from secretsvc.go_regexp import GoRegexp
from secretsvc.keyref import MOST_KEYS, Principal, refuse_identity
from secretsvc.manifest.nodes import Alias, Mapping, Member, Node, Scalar, Sequence, is_merge, is_null
from secretsvc.policy.reader import MAX_PATTERN, MOST_RULES, items_of, mapping_at, members_of, root_of, target_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as AnyMapping

NAME = ".sops.yaml"

SELECTIONS = (
    "encrypted_regex",
    "unencrypted_regex",
    "encrypted_suffix",
    "unencrypted_suffix",
    "encrypted_comment_regex",
    "unencrypted_comment_regex",
)
"""The six ways to say which leaves are sealed; a rule has one at most, and without one DEFAULT_SELECTION."""

DEFAULT_SELECTION = ("unencrypted_suffix", "_unencrypted")

_TOP = ("creation_rules", "destination_rules", "stores")
_OURS = {scheme.sops_list: scheme for scheme in backends.ours() if scheme.sops_list}
"""The kinds of keys that a backend is here for, as sealed files call them."""
_FLAT = {
    **{scheme.sops_flat or name: name for name, scheme in _OURS.items()},
    "hckms": "hckms",
}
"""The lists of keys that a rule may have → the kind of keys, as sealed files call it. In SOPS's order."""
_RULE = ("path_regex", *_FLAT, "aws_profile", "key_groups", "shamir_threshold", *SELECTIONS, "mac_only_encrypted")
_FIELDS = {
    **{scheme.sops_group or name: scheme.sops_field for name, scheme in _OURS.items()},
    "hckms": "key_id",
}
"""The lists of keys that a group may have → the field with a key's name; empty where a key is a text."""
_GROUP = ("merge", *_FIELDS)
_STORES = ("yaml", "json", "json_binary", "dotenv", "ini")

_TRUE = ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE")
_FALSE = ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE")
"""Words that Go's YAML takes for a boolean where one is due."""

_LONGEST_KEY = 4096
"""Characters: an SSH key of 16,384 bits has 2,800, a post-quantum recipient of age's 2,000."""

_MOST_READ = 100_000
"""Members and items of one file, each counted wherever an alias stands for it."""


class SopsKey:
    """One key, as a rule names it."""

    __slots__ = ("context", "kind", "line", "name", "profile", "role")

    def __init__(
        self,
        kind: str,
        name: str,
        line: int,
        *,
        role: str = "",
        profile: str = "",
        context: AnyMapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        """As sealed files call it: `age pgp kms gcp_kms hckms azure_kv hc_vault`."""
        self.name = name
        self.line = line
        self.role = role
        """Of AWS: an ARN of IAM."""
        self.profile = profile
        self.context = dict(context or {})

    @property
    def identity(self) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
        """Return what tells one key from another; a group has each once."""
        return self.kind, self.name, self.role, tuple(sorted(self.context.items()))

    @property
    def text(self) -> str:
        """The KeyRef as a person may write it. Kinds that ksecret has no backend for keep SOPS's name for them."""
        return f"{_OURS[self.kind].name if self.kind in _OURS else self.kind}:{self.name}"

    @property
    def is_used_here(self) -> bool:
        """Tell whether a backend is here for its kind."""
        return self.kind in _OURS

    def __repr__(self) -> str:
        return f"SopsKey({self.text})"


def key_of(text: str, line: int, principals: AnyMapping[str, Principal]) -> SopsKey:
    """The key that a KeyRef names, with who uses it, where that is said of one of AWS's."""
    ref = backends.canonical(text)
    scheme = backends.find(ref.scheme)
    kind = scheme.sops_list if scheme and scheme.sops_list else ref.scheme
    return SopsKey(kind, ref.id, line, **principals.get(str(ref), Principal())._asdict())


class NoRuleError(InputError):
    """Rules are there, and none fits a file."""


class CreationRule:
    """Rule for the files of some paths."""

    __slots__ = ("_catches", "groups", "line", "mac_only_encrypted", "path", "selection", "source", "threshold")

    def __init__(
        self,
        line: int,
        path: GoRegexp | None,
        groups: tuple[tuple[SopsKey, ...], ...],
        threshold: int,
        *,
        selection: tuple[str, str] | None,
        mac_only_encrypted: bool,
    ) -> None:
        self.source = ""
        """The file's name, for messages."""
        self.line = line
        self.path = path
        """Looked for in the path from the file's folder; None fits all."""
        self.groups = groups
        """None where the rule names no keys: they must be given by who seals then."""
        self.threshold = threshold
        """Number of groups that are needed, where there are several; 0 is all."""
        self.selection = selection
        """One of SELECTIONS, and its pattern or suffix; None: what whoever seals takes where nothing is said."""
        self.mac_only_encrypted = mac_only_encrypted
        self._catches: dict[str, bool] = {}

    def catches_all(self, suffix: str) -> bool:
        """Tell whether its path fits every file whose name ends so, and singles none out."""
        if suffix not in self._catches:
            self._catches[suffix] = self.path is None or self.path.finds(b"any/other" + os.fsencode(suffix))
        return self._catches[suffix]

    def names_end(self, suffix: str) -> bool:
        """Tell whether its path fits every file whose name ends so because it ends so (`.env`)."""
        return self.path is not None and self.catches_all(suffix) and not self.catches_all("")

    def principals(self) -> dict[str, Principal]:
        """Return who uses its keys of AWS: KeyRef → profile and role, of those that have any.

        Raises InputError, with the line, for a key that it names in different roles, or whose name is none.
        """
        found: dict[str, Principal] = {}
        for key in (key for group in self.groups for key in group if _has_profiles(key.kind)):
            try:
                ref = str(backends.canonical(key.text))
            except KeyRefError as error:
                raise InputError(error.message, hint=error.hint, file=self.source, line=key.line) from error
            before = found.setdefault(ref, Principal(key.profile, key.role))
            if before.role != key.role:
                what = f"{ref}: ksecret uses a key in one role, and the rule has it in different ones"
                raise InputError(what, hint="name it once", file=self.source, line=key.line)
            found[ref] = Principal(key.profile or before.profile, key.role)
        return {ref: principal for ref, principal in found.items() if any(principal)}


class SopsConfig:
    """The content of one `.sops.yaml`."""

    __slots__ = ("folder", "indents", "rules", "source")

    def __init__(
        self, source: str, folder: str, rules: tuple[CreationRule, ...] | None, indents: AnyMapping[str, int]
    ) -> None:
        self.source = source
        """The file's name, for messages."""
        self.folder = folder
        """The folder that it is in, absolute."""
        self.rules = rules
        """None where it has none: then it has no say. An empty list has: there is no rule for any file."""
        self.indents = dict(indents)
        """Store → columns that SOPS indents by, where it is said."""

    def rule_for(self, path: str) -> CreationRule | None:
        """Return the first rule for the file at that absolute path; None where there are no rules at all.

        A file outside of the folder is told by its whole path; links are not followed. Raises InputError where rules
        are there, and none fits.
        """
        if self.rules is None:
            return None
        told = os.fsencode(os.path.normpath(path).removeprefix(os.path.join(self.folder, "")))
        for rule in self.rules:
            if rule.path is None or rule.path.finds(told):
                return rule
        hint = "add a rule without path_regex at the end, or one whose path_regex fits"
        raise NoRuleError("no rule of creation_rules fits this file", hint=hint, file=self.source)


def read(data: bytes, source: str, folder: str) -> SopsConfig:
    """The rules in the bytes of the file `source`, which is in that folder. Raises InputError with file and line."""
    try:
        rules, indents = _Reader().content(root_of(data, "creation_rules:"))
    except InputError as error:
        error.file = source
        raise
    for rule in rules or ():
        rule.source = source
    return SopsConfig(source, folder, rules, indents)


class _Reader:
    """Reads one file, and counts what its aliases bring in."""

    def __init__(self) -> None:
        self._left = _MOST_READ

    def content(self, root: Mapping) -> tuple[tuple[CreationRule, ...] | None, dict[str, int]]:
        known = [member for member in root.members if not _holds_anchors_only(member)]
        said = dict(members_of(known, "this file", _TOP))
        rules = None
        if "creation_rules" in said and not is_null(said["creation_rules"]):
            items = items_of(said["creation_rules"], "creation_rules", MOST_RULES)
            rules = tuple(self._rule(mapping_at(item, "a rule")) for item in items)
        indents = {}
        if "stores" in said and not is_null(said["stores"]):
            for store, node in self._members(said["stores"], "stores", _STORES).items():
                for _, columns in self._members(node, store, ("indent",)).items():
                    indents[store] = _number(columns, "indent", 100)
        return rules, indents

    def _rule(self, mapping: Mapping) -> CreationRule:
        said = self._members(mapping, "a rule", _RULE)
        groups = self._groups(said)
        threshold = _number(said["shamir_threshold"], "shamir_threshold", 255) if "shamir_threshold" in said else 0
        if len(groups) > 1 and (threshold == 1 or threshold > len(groups)):
            what = f"shamir_threshold is not one that {len(groups)} key groups can have"
            hint = "2 to the number of key groups, or 0 for all of them"
            raise InputError(what, hint=hint, line=said["shamir_threshold"].line)
        return CreationRule(
            mapping.line,
            _pattern(said["path_regex"]) if "path_regex" in said else None,
            groups,
            threshold,
            selection=_selection(said),
            mac_only_encrypted="mac_only_encrypted" in said and _flag(said["mac_only_encrypted"], "mac_only_encrypted"),
        )

    def _groups(self, said: dict[str, Node]) -> tuple[tuple[SopsKey, ...], ...]:
        if "key_groups" in said:  # the flat lists are nothing to SOPS then
            items = items_of(said["key_groups"], "key_groups", MOST_KEYS)
            groups = tuple(_distinct(self._group(item), item.line) for item in items)
            empty = next((item for item, group in zip(items, groups, strict=True) if not group), None)
            if empty:
                raise InputError("a key group without keys", hint="list one, or take the group away", line=empty.line)
            return groups
        profile = _text(said["aws_profile"], "aws_profile") if "aws_profile" in said else ""
        keys = [
            _with_role(kind, text, line, profile)
            for name, kind in _FLAT.items()
            if name in said
            for text, line in self._texts(said[name], name)
        ]
        group = _distinct(keys, 0)
        return (group,) if group else ()

    def _group(self, node: Node) -> list[SopsKey]:
        said = self._members(node, "a key group", _GROUP)
        found: list[SopsKey] = []
        if "merge" in said:
            for item in self._items(said["merge"], "merge"):
                found += self._group(item)
        for name, field in _FIELDS.items():
            if name in said and field:
                found += [self._entry(item, name, field) for item in self._items(said[name], name)]
            elif name in said:
                found += [SopsKey(name, *pair) for pair in self._texts(said[name], name)]
        return found

    def _entry(self, node: Node, name: str, field: str) -> SopsKey:
        if name == "azure_keyvault":
            return self._azure(node)
        more = ("role", "context", "aws_profile") if _has_profiles(name) else ()
        said = self._members(node, f"an entry of {name}", (field, *more))
        if field not in said:
            raise InputError(f"an entry of {name} without `{field}`", line=node.line)
        key = _with_role(name, _text(said[field], field), node.line, "")
        key.role = _text(said["role"], "role") if "role" in said else key.role
        key.profile = _text(said["aws_profile"], "aws_profile") if "aws_profile" in said else ""
        if "context" in said:
            key.context.update(self._pairs(said["context"]))
        return key

    def _pairs(self, node: Node) -> Iterator[tuple[str, str]]:
        for key, value in mapping_at(node, "context").members:
            self._count(node)
            yield _text(key, "a name in context"), _text(target_of(value), "a value in context")

    def _azure(self, node: Node) -> SopsKey:
        said = self._members(node, "an entry of azure_keyvault", ("vaultUrl", "key", "version"))
        if "vaultUrl" not in said or "key" not in said:
            raise InputError("an entry of azure_keyvault has `vaultUrl` and `key`", line=node.line)
        parts = [_text(said["vaultUrl"], "vaultUrl").rstrip("/"), "keys", _text(said["key"], "key")]
        parts += [_text(said["version"], "version")] if "version" in said else []
        return SopsKey("azure_kv", "/".join(parts), node.line)

    def _texts(self, node: Node, what: str) -> Iterator[tuple[str, int]]:
        """Return what a list has, or a text with commas, each with its line."""
        if isinstance(node, Sequence):
            for item in self._items(node, what):
                yield _public(_text(item, f"an item of {what}", _LONGEST_KEY).strip(), item.line)
            return
        for part in _text(node, what, _LONGEST_KEY).split(","):
            self._count(node)
            if not part.strip():
                raise InputError(f"{what} has a comma with no key beside it", line=node.line)
            yield _public(part.strip(), node.line)

    def _items(self, node: Node, what: str) -> Iterator[Node]:
        for item in items_of(node, what, MOST_KEYS):
            self._count(item)
            yield item

    def _members(self, node: Node, what: str, names: tuple[str, ...]) -> dict[str, Node]:
        """The members by name, those of merge keys too; nulls count for nothing."""
        found: dict[str, Node] = {}
        for one in self._with_bases(mapping_at(node, what)):
            own = members_of([member for member in one.members if not is_merge(member.key)], what, names)
            found = dict(own) | found
        return {name: node for name, node in found.items() if not is_null(node)}

    def _with_bases(self, mapping: Mapping) -> Iterator[Mapping]:
        """A mapping, and those that merge keys bring into it, the strongest first."""
        for _ in mapping.members:
            self._count(mapping)
        yield mapping
        for key, value in mapping.members:
            if is_merge(key):
                bases = target_of(value)
                for base in bases.items if isinstance(bases, Sequence) else [bases]:
                    yield from self._with_bases(mapping_at(target_of(base), "what << stands for"))

    def _count(self, node: Node) -> None:
        self._left -= 1
        if self._left < 0:
            raise InputError(f"more than {_MOST_READ} values, aliases followed", line=node.line)


def _holds_anchors_only(member: Member) -> bool:
    """Whether SOPS knows no such member of the top, and it has anchors for others to use, under a name of its own."""
    name = member.key.value if isinstance(member.key, Scalar) else ""
    return name not in _TOP and not nearest(name, _TOP) and _has_anchor(member.value)


def _has_anchor(node: Node) -> bool:
    if isinstance(node, Alias):
        return False
    if node.anchor:
        return True
    if isinstance(node, Mapping):
        return any(_has_anchor(value) for _, value in node.members)
    return isinstance(node, Sequence) and any(map(_has_anchor, node.items))


def _has_profiles(kind: str) -> bool:
    return kind in _OURS and _OURS[kind].has_profiles


def _with_role(kind: str, text: str, line: int, profile: str) -> SopsKey:
    """`ARN+ROLE`, as AWS keys may be written."""
    if not _has_profiles(kind):
        return SopsKey(kind, text, line)
    arn, _, role = text.partition("+")
    return SopsKey(kind, arn, line, role=role, profile=profile)


def _distinct(keys: list[SopsKey], line: int) -> tuple[SopsKey, ...]:
    found = tuple({key.identity: key for key in reversed(keys)}.values())[::-1]
    if len(found) > MOST_KEYS:
        raise InputError(f"more than {MOST_KEYS} keys in one group", line=line or found[-1].line)
    return found


def _selection(said: dict[str, Node]) -> tuple[str, str]:
    given = [(name, _text(said[name], name)) for name in SELECTIONS if name in said and not _is_empty(said[name])]
    if len(given) > 1:
        first, second = given[0][0], given[1][0]
        raise InputError(f"{first} and {second} in one rule", hint="keep one of the two", line=said[second].line)
    for name, text in given:
        if name.endswith("regex"):
            _go_regexp(text, name, said[name].line)
    return given[0] if given else DEFAULT_SELECTION


def _pattern(node: Node) -> GoRegexp | None:
    return None if _is_empty(node) else _go_regexp(_text(node, "path_regex"), "path_regex", node.line)


def _go_regexp(text: str, what: str, line: int) -> GoRegexp:
    try:
        return GoRegexp(text)
    except InputError as error:
        raise InputError(f"{what}: {error.message}", hint=error.hint, line=line) from None


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.value


def _text(node: Node, what: str, most: int = MAX_PATTERN) -> str:
    """A scalar's text: where a text is due, Go's YAML takes a number for one."""
    if not isinstance(node, Scalar) or is_null(node) or not node.value:
        raise InputError(f"{what} is not a text", hint="write one value, in quotes", line=node.line)
    if len(node.value) > most and "," not in node.value:
        raise InputError(f"{what} is longer than {most} characters", line=node.line)
    return node.value


def _public(text: str, line: int) -> tuple[str, int]:
    try:
        refuse_identity(text)
    except KeyRefError as error:
        raise InputError(error.message, hint=error.hint, line=line) from None
    return text, line


def _flag(node: Node, what: str) -> bool:
    if isinstance(node, Scalar) and not node.style and node.value in (*_TRUE, *_FALSE):
        return node.value in _TRUE
    raise InputError(f"{what} is neither true nor false", line=node.line)


def _number(node: Node, what: str, most: int) -> int:
    if isinstance(node, Scalar) and not node.style and re.fullmatch(r"[0-9]{1,3}", node.value):
        number = int(node.value)
        if number <= most:
            return number
    raise InputError(f"{what} is not a number from 0 to {most}", line=node.line)
