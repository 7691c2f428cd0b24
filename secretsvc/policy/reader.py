"""The text of a `.ksecret.yaml` → its rules; every mistake in it is an error with its line (docs/policy.md)."""

from __future__ import annotations

from secretsvc.backends import canonical, complete, find
from secretsvc.errors import InputError, KeyRefError, nearest
from secretsvc.keyref import MOST_GROUPS, MOST_KEYS, KeyGroups, Principal, check_division, keyset
from secretsvc.manifest import nodes
from secretsvc.manifest.line_reader import yaml_documents
from secretsvc.manifest.nodes import Mapping, Node, Scalar, Sequence
from secretsvc.manifest.scalars import is_string
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Mapping as AnyMapping

    from secretsvc.files.globs import Glob, Name
    from secretsvc.keyref import KeyRef, Keyset
    from secretsvc.manifest.nodes import Member
    from secretsvc.policy.people import People

MAX_BYTES = 1024 * 1024
"""The largest policy file that is read, in bytes."""

MOST_RULES = 1000
"""Limit for one policy: each rule is tried on each Secret."""

_WORD = pattern(r"[A-Za-z][A-Za-z_-]{0,29}")

_OF_KEYS = ("keys", "groups", "threshold")
_PRINCIPAL = ("profile", "role")
_ROLE = pattern(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}")
_PROFILE = pattern(r"[A-Za-z0-9_.@/+-][A-Za-z0-9_.@/+ -]{0,99}")

MAX_PATTERN = 500
"""Characters in a pattern."""

_KEYS = ("version", "people", "rules", "rotation", "requireSignature", "dataKey")

_LONGEST_AGE = 6
"""Digits."""

SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
"""The units of an age, in seconds."""


class KeyRule(Record):
    """A rule of a policy: Secrets, and the KeyRefs that they are to be sealed to, as written."""

    line: int
    path: Glob | None
    """A gitignore-style pattern for paths relative to the policy's folder; None fits all."""
    namespace: Name | None
    """Like `name`, a pattern with `*`, `?` and `[…]`; None fits all."""
    name: Name | None
    keys: tuple[str, ...]
    """KeyRefs as written, in place of names those of `people`."""
    fresh: bool | None = None
    """This rule's word in place of the policy's own; None: that counts."""
    format: str = ""
    """`sops` where new files of its path are sealed in that format, whole; empty for ksecret's own."""
    groups: tuple[tuple[str, ...], ...] = ()
    """The same keys in groups; none where any one key opens."""
    threshold: int = 0
    """How many groups have to be opened; 0 for all."""

    def keyset(self, parse: Callable[[str], KeyRef]) -> Keyset:
        """Return the keyset that it is for. Raises what `parse` raises, which makes one KeyRef canonical."""
        if self.groups:
            return KeyGroups((map(parse, group) for group in self.groups), self.threshold)
        return keyset(map(parse, self.keys))

    def fits(self, path: str | None, namespace: str, name: str) -> bool:
        """Tell whether it is a rule for that Secret, in the file of that relative path; None for some path or other."""
        return (
            _fits(namespace, self.namespace)
            and _fits(name, self.name)
            and (self.path is None or path is None or self.path.fits(path, inside=True))
        )


def _fits(text: str, pattern: Name | None) -> bool:
    """Tell whether a name fits. What is longer than any name of Kubernetes' fits no pattern but the one for all."""
    return pattern is None or pattern.plain == "*" or (len(text) <= MAX_PATTERN and pattern.fits(text))


class Content(Record):
    """The content of a policy file."""

    rules: tuple[KeyRule, ...]
    max_age: int | None
    """The oldest that a DEK may get, in seconds."""
    require_signature: bool
    fresh: bool = False
    """Whether every change is to make a new DEK."""
    named: AnyMapping[str, tuple[str, ...]] = {}
    """The names that it has for keys → their KeyRefs in their canonical spelling."""
    principals: AnyMapping[str, Principal] = {}
    """KeyRef of AWS KMS, canonical → who uses it."""

    @property
    def people(self) -> People:
        """The same names, as messages tell of them."""
        from secretsvc.policy.people import People

        return People(self.named)


def seconds(text: str) -> int:
    """`12h`, `90d` or `6w` in seconds. Raises ValueError."""
    number, unit = text[:-1], text[-1:]
    is_number = number.isascii() and number.isdecimal() and number[0] != "0" and len(number) <= _LONGEST_AGE
    if not is_number or unit not in SECONDS:
        raise ValueError("not an age")
    return int(number) * SECONDS[unit]


def read(data: bytes, source: str) -> Content:
    """The policy in the bytes of the file `source`. Raises InputError with file and line."""
    try:
        return _content(root_of(data))
    except InputError as error:
        error.file = source
        raise


def root_of(data: bytes, start: str = "version: 1") -> Mapping:
    """The one mapping of a policy file, which would start like that. Raises InputError with a line."""
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES // 1024} KiB: that is no policy")
    try:
        documents = yaml_documents(data.removeprefix(b"\xef\xbb\xbf").decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8 text", hint="convert the file to UTF-8", line=line) from None
    if len(documents) != 1:
        line = documents[1].line if documents else 1
        raise InputError("a policy is one YAML document", hint=f"start with `{start}`", line=line)
    return mapping_at(documents[0], "a policy")


def _content(root: Mapping) -> Content:
    said: dict[str, Node] = {}
    for name, node in members_of(root.members, "a policy", _KEYS):
        said[name] = node
        if name == "version":
            _check_version(node)
    if "version" not in said:
        raise InputError("the policy states no version", hint="start with `version: 1`", line=root.line)
    named = _people(mapping_at(said["people"], "people")) if "people" in said else {}
    items = items_of(said["rules"], "rules", MOST_RULES) if "rules" in said else []
    principals: dict[str, Principal] = {}
    rules = tuple(_rule(mapping_at(item, "a rule"), named, principals) for item in items)
    return Content(
        rules,
        _max_age(mapping_at(said["rotation"], "rotation")) if "rotation" in said else None,
        "requireSignature" in said and _flag(said["requireSignature"], "requireSignature"),
        "dataKey" in said and _is_fresh(said["dataKey"]),
        named,
        principals,
    )


def _check_version(node: Node) -> None:
    if not (isinstance(node, Scalar) and node.value == "1" and not node.style):
        what = "version is not 1, the only one that this ksecret knows"
        raise InputError(what, hint="upgrade ksecret", line=node.line)


def _people(mapping: Mapping) -> dict[str, tuple[str, ...]]:
    from secretsvc.policy.people import MOST_PEOPLE, is_name  # only where a policy names people

    if len(mapping.members) > MOST_PEOPLE:
        raise InputError(f"people has more than {MOST_PEOPLE} names", line=mapping.line)
    found: dict[str, tuple[str, ...]] = {}
    seen = set()
    for key, value in mapping.members:
        name = _text(key, "a name")
        if not is_name(name):
            hint = "up to 64 letters, digits, '.', '_', '-' and '@', a letter first; not what a key itself is called"
            raise InputError("that is not a name for a key", hint=hint, line=key.line)
        if name.lower() in seen:
            hint = "keep one of the two, or list the keys of both under it"
            raise InputError(f"the name {name} is there twice, be it in other letters", hint=hint, line=key.line)
        seen.add(name.lower())
        node = target_of(value)
        items = items_of(node, "the keys of a name", MOST_KEYS) if isinstance(node, Sequence) else [node]
        if not items:
            raise InputError(f"{name} has no key", hint="list one, or take the name away", line=key.line)
        found[name] = tuple(str(canonical(_key(item))) for item in items)
    return found


def _rule(mapping: Mapping, named: AnyMapping[str, tuple[str, ...]], principals: dict[str, Principal]) -> KeyRule:
    """Adds to the principals."""
    path: Glob | None = None
    texts = {"namespace": "", "name": ""}
    keys: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    threshold = 0
    fresh, format_ = None, ""
    for name, node in members_of(mapping.members, "a rule", (*_OF_KEYS, "path", *texts, "dataKey", "format")):
        if name == "keys":
            keys = _keys(node, named, principals)
        elif name == "groups":
            groups = tuple(_keys(item, named, principals) for item in items_of(node, "groups", MOST_GROUPS))
        elif name == "threshold":
            threshold = _number(node)
        elif name == "path":
            path = _pattern(node)
        elif name == "dataKey":
            fresh = _is_fresh(node)
        elif name == "format":
            format_ = _format(node)
        else:
            texts[name] = _text(node, name)
            if len(texts[name]) > MAX_PATTERN:
                raise InputError(f"{name} is longer than {MAX_PATTERN} characters", line=node.line)
    _check_keys(mapping.line, keys, groups, threshold)
    if format_ and (texts["namespace"] or texts["name"] or fresh is not None):
        what = "a rule with `format: sops` goes by the file's path alone, and SOPS keeps a file's data key"
        raise InputError(what, hint="take namespace, name and dataKey out of it", line=mapping.line)
    keys = keys or tuple(dict.fromkeys(key for group in groups for key in group))
    of_names = _name_pattern(texts["namespace"]), _name_pattern(texts["name"])
    return KeyRule(mapping.line, path, *of_names, keys, fresh, format_, groups, threshold)


def _name_pattern(text: str) -> Name | None:
    if not text:
        return None
    from secretsvc.files.globs import Name  # only where a rule has one

    return Name(text)


def _check_keys(line: int, keys: tuple[str, ...], groups: tuple[tuple[str, ...], ...], threshold: int) -> None:
    """Refuse a rule whose keys, or groups of them, are none. Raises InputError."""
    if keys and (groups or threshold):
        what = "a rule has keys, any of which opens, or groups of keys, of which several are needed"
        raise InputError(what, hint="keep `keys:`, or `groups:` and `threshold:`", line=line)
    if not keys and not groups:
        raise InputError("a rule without keys", hint="list the keys under `keys:`", line=line)
    if sum(map(len, groups)) > MOST_KEYS:
        raise InputError(f"its groups have more than {MOST_KEYS} keys", line=line)
    if groups:
        try:
            check_division(len(groups), threshold or len(groups))
        except KeyRefError as error:
            raise InputError(error.message, hint=error.hint, line=line) from None
        if not all(groups):
            raise InputError("a group of keys has no key", hint="list one for each group", line=line)


def _number(node: Node) -> int:
    """A threshold as a policy has it. Raises InputError."""
    text = node.value if isinstance(node, Scalar) and not node.style else ""
    if text in map(str, range(1, MOST_GROUPS + 1)):
        return int(text)
    raise InputError("threshold is not a number of groups", hint=f"2 to {MOST_GROUPS}", line=node.line)


def _format(node: Node) -> str:
    if isinstance(node, Scalar) and node.value == "sops":
        return node.value
    raise InputError("format is not `sops`", hint="leave it out for ksecret's own format", line=node.line)


def _pattern(node: Node) -> Glob:
    from secretsvc.files.globs import parse  # only where a rule has a path

    try:
        glob = parse(_text(node, "path"))
    except ValueError:
        glob = None
    if not glob or not glob.include:
        hint = "a pattern such as prod/** or *.yaml; rules are tried in turn, so exceptions go first"
        raise InputError("path is not one gitignore-style pattern that includes", hint=hint, line=node.line)
    return glob


def _keys(node: Node, named: AnyMapping[str, tuple[str, ...]], principals: dict[str, Principal]) -> tuple[str, ...]:
    """The keys that a rule lists, with the KeyRefs of people in place of their names. Adds to the principals."""
    found: list[str] = []
    for item in items_of(node, "keys", MOST_KEYS):
        if isinstance(item, Mapping):
            found.append(_key_with_principal(item, principals))
            continue
        text = _text(item, "a key")
        if named and text not in named:
            _refuse_name(text, named, item.line)
        found += named[text] if text in named else [_key(item)]
    if len(found) > MOST_KEYS:
        raise InputError(f"the names in keys stand for more than {MOST_KEYS} keys", line=node.line)
    return tuple(dict.fromkeys(found))


def _refuse_name(text: str, named: AnyMapping[str, tuple[str, ...]], line: int) -> None:
    """Raises InputError for what may be a name, as nobody is called."""
    from secretsvc.policy.people import is_name

    if is_name(text):
        what = f"people has no such name{nearest(text, named)}"
        raise InputError(what, hint="add it there, or write a key: SCHEME:NAME", line=line)


def _key_with_principal(mapping: Mapping, principals: dict[str, Principal]) -> str:
    """`{key: aws:arn:…, profile: NAME, role: ARN}`, where SOPS has `aws_profile` and `role`."""
    said = dict(members_of(mapping.members, "an entry of keys", ("key", *_PRINCIPAL)))
    if "key" not in said or len(said) < 2:
        raise InputError("an entry of keys that is no text has `key`, and `profile` or `role`", line=mapping.line)
    key = _key(said["key"])
    profile, role = (_text(said[name], name) if name in said else "" for name in _PRINCIPAL)
    ref = canonical(key)
    scheme = find(ref.scheme)
    if not (scheme and scheme.has_profiles):
        raise InputError("profile and role go with keys of AWS KMS only", line=mapping.line)
    if profile and not _PROFILE.fullmatch(profile):
        raise InputError("that is no name of an AWS profile", hint="as in ~/.aws/config", line=said["profile"].line)
    if role and not _ROLE.fullmatch(role):
        raise InputError("that is no role of IAM", hint="arn:aws:iam::ACCOUNT:role/NAME", line=said["role"].line)
    principal = Principal(profile, role)
    if principals.setdefault(str(ref), principal) != principal:
        raise InputError("one key has two profiles, or two roles", hint="keep one of the two", line=mapping.line)
    return key


def _key(node: Node) -> str:
    text = complete(_text(node, "a key"))
    try:
        canonical(text)
    except KeyRefError as error:
        raise InputError(error.message, hint=error.hint, line=node.line) from None
    return text


def _max_age(mapping: Mapping) -> int | None:
    for _, node in members_of(mapping.members, "rotation", ("maxAge",)):
        try:
            return seconds(node.value if isinstance(node, Scalar) else "")
        except ValueError:
            raise InputError("maxAge is not an age", hint="write it as 90d, 12h or 6w", line=node.line) from None
    return None


def _flag(node: Node, what: str) -> bool:
    if isinstance(node, Scalar) and not node.style and node.value in ("true", "false"):
        return node.value == "true"
    raise InputError(f"{what} is neither true nor false", line=node.line)


def _is_fresh(node: Node) -> bool:
    if isinstance(node, Scalar) and node.value in ("fresh", "kept"):
        return node.value == "fresh"
    hint = "`fresh`: every change makes a new data key; `kept`: the old one serves on"
    raise InputError("dataKey is neither `fresh` nor `kept`", hint=hint, line=node.line)


def _text(node: Node, what: str) -> str:
    if isinstance(node, Scalar) and node.value and (node.style or is_string(node.value)):
        return node.value
    raise InputError(f"{what} is not a text", hint="quote it", line=node.line)


def items_of(node: Node, what: str, most: int) -> list[Node]:
    """Return what a list has, aliases followed. Raises InputError."""
    if not isinstance(node, Sequence):
        raise InputError(f"{what} is not a list", hint="write each on a line of its own after `- `", line=node.line)
    if len(node.items) > most:
        raise InputError(f"{what} has more than {most} items", line=node.line)
    return [target_of(item) for item in node.items]


def mapping_at(node: Node, what: str) -> Mapping:
    """The node where it is a mapping. Raises InputError."""
    if isinstance(node, Mapping):
        return node
    raise InputError(f"{what} is not a mapping", hint="write it as KEY: VALUE lines", line=node.line)


def members_of(members: Iterable[Member], what: str, names: Iterable[str]) -> Iterator[tuple[str, Node]]:
    """The members, each with a known name and there once. Another name is told only where it is a word, and no key."""
    seen = set()
    for key, value in members:
        name = key.value if isinstance(key, Scalar) else ""
        if name not in names:
            which = f"an unknown key `{name}`" if _WORD.fullmatch(name) else "an unknown key here"
            raise InputError(f"{what} has {which}", hint=f"known: {', '.join(names)}", line=key.line)
        if name in seen:
            raise InputError(f"{name} is there twice", hint="keep one of the two", line=key.line)
        seen.add(name)
        yield name, target_of(value)


def target_of(node: Node) -> Node:
    """The node that an alias stands for: keys may be listed once, and repeated by `*name`."""
    target = nodes.resolved(node)
    if target is None or (not isinstance(target, nodes.Alias) and target.tag):
        raise InputError("a tag, or an alias inside what it stands for", hint="write the value out", line=node.line)
    return target
