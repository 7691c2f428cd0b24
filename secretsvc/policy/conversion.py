"""A policy of SOPS's as one of ksecret's, and the other way: what rules say of the same files.

What would change who opens a file is never left out: it is an error. What else can't be carried is told.
"""

from __future__ import annotations

from secretsvc.backends import canonical, find
from secretsvc.errors import InputError
from secretsvc.keyref import Principal
from secretsvc.policy import path_patterns, reader, sops_yaml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from secretsvc.policy.reader import Content, KeyRule
    from secretsvc.policy.sops_yaml import CreationRule, SopsKey

_FOR_SECRETS = ("encrypted_regex", "^(data|stringData)$")


def to_ours(data: bytes, source: str, tell: Callable[[int, str], None]) -> str:
    """Return the text of a `.ksecret.yaml` for that of the `.sops.yaml` of the name `source`.

    `tell` hears a line, and what of it was left out. Raises InputError for what would have others open files.
    """
    config = sops_yaml.read(data, source, "/")
    lines = ["version: 1", "rules:"]
    roles: dict[str, str] = {}
    for rule in config.rules or ():
        try:
            _refuse_other_roles(rule, roles)
            lines += _our_rule(rule, tell)
        except InputError as error:
            error.file, error.line = source, error.line or rule.line
            raise
    if len(lines) == 2:
        raise InputError("it has no creation_rules", hint="there is nothing to convert", file=source)
    return "\n".join(lines) + "\n"


def _refuse_other_roles(rule: CreationRule, roles: dict[str, str]) -> None:
    """Adds to the roles, by key. Raises InputError for a key in another role than in a rule before."""
    for key in (key for group in rule.groups for key in group):
        if roles.setdefault(key.text, key.role) != key.role:
            what = f"{key.text}: a key in different roles, and .ksecret.yaml has one for all its rules"
            raise InputError(what, hint="use it in one role", line=key.line)


def _our_rule(rule: CreationRule, tell: Callable[[int, str], None]) -> Iterator[str]:
    if not rule.groups:
        raise InputError("a rule without keys", hint="list keys, or take the rule away")
    groups = [[text for key in group for text in _our_key(key)] for group in rule.groups]
    if any(key.context for group in rule.groups for key in group):
        tell(rule.line, "the context of its keys: ksecret's format has one of its own, the Secret's name and namespace")
    if rule.selection and rule.selection != _FOR_SECRETS:
        tell(rule.line, f"{rule.selection[0]}: ksecret's format seals data and stringData of Secrets, all of them")
    if rule.mac_only_encrypted:
        tell(rule.line, "mac_only_encrypted: a Secret's identity is always covered, and what is in the clear never")
    for path in path_patterns.globs_of(rule.path.pattern) if rule.path else ("",):
        first = f"  - path: {_quoted(path)}" if path and path != "**" else ""
        lead = [first, "    "] if first else ["  - "]
        if len(groups) == 1:
            yield from [*lead[:-1], f"{lead[-1]}keys:", *(f"      - {key}" for key in groups[0])]
            continue
        yield from [*lead[:-1], f"{lead[-1]}threshold: {rule.threshold or len(groups)}", "    groups:"]
        for group in groups:
            yield from ("      " + ("  - " if number else "- - ") + key for number, key in enumerate(group))


def _our_key(key: SopsKey) -> Iterator[str]:
    """Raises InputError."""
    if not key.is_used_here:
        what = f"{key.text}: a key of a kind that ksecret has no backend for"
        raise InputError(what, hint="name another key for these files first", line=key.line)
    text = _quoted(str(canonical(key.text)))
    beside = _beside({"profile": key.profile, "role": key.role})
    yield f"{{key: {text}{beside}}}" if beside else text


def _beside(members: Mapping[str, str]) -> str:
    """Those that say something, as they stand behind others of a mapping in braces."""
    return "".join(f", {name}: {_quoted(text)}" for name, text in members.items() if text)


def to_sops(data: bytes, source: str, tell: Callable[[int, str], None]) -> str:
    """Return the text of a `.sops.yaml` for that of the `.ksecret.yaml` of the name `source`. As `to_ours`."""
    content = reader.read(data, source)
    for is_said, what in (
        (content.max_age, "rotation.maxAge: SOPS's policy has no such thing"),
        (content.require_signature, "requireSignature: SOPS's keys of PGP are not signed"),
        (content.fresh or any(rule.fresh for rule in content.rules), "dataKey: SOPS keeps a file's data key"),
        (content.named, "people: SOPS's policy has the keys themselves"),
    ):
        if is_said:
            tell(1, what)
    lines = ["creation_rules:"]
    for rule in content.rules:
        try:
            lines += _their_rule(rule, content, tell)
        except InputError as error:
            error.file, error.line = source, error.line or rule.line
            raise
    if len(lines) == 1:
        raise InputError("it has no rules", hint="there is nothing to convert", file=source)
    return "\n".join(lines) + "\n"


def _their_rule(rule: KeyRule, content: Content, tell: Callable[[int, str], None]) -> Iterator[str]:
    if any(pattern and pattern.plain != "*" for pattern in (rule.namespace, rule.name)):
        what = "a rule for Secrets of some name or namespace, and SOPS's rules go by the file's path alone"
        raise InputError(what, hint="give such Secrets paths of their own, and rules by path")
    path = path_patterns.regexp_of(rule.path) if rule.path else ""
    members = [f"path_regex: {_quoted(path)}"] if path else []
    if rule.format:
        tell(rule.line, "format: sops: SOPS seals every value of such a file, of Secrets, too")
    else:
        members.append(f"{_FOR_SECRETS[0]}: {_quoted(_FOR_SECRETS[1])}")
    members += [f"shamir_threshold: {rule.threshold or len(rule.groups)}"] if rule.groups else []
    for number, member in enumerate([*members, "key_groups:"]):
        yield f"    {member}" if number else f"  - {member}"
    for group in rule.groups or (rule.keys,):
        yield from _their_group(group, content)


def _their_group(keys: tuple[str, ...], content: Content) -> Iterator[str]:
    lists: dict[str, list[str]] = {}
    for text in keys:
        ref = canonical(text)
        scheme = find(ref.scheme)
        if not scheme or not scheme.sops_list:
            raise InputError(f"{ref}: SOPS knows no keys of that kind", hint="name another key for these files first")
        used_by = content.principals.get(str(ref), Principal())
        entry = _quoted(ref.id)
        fields = scheme.sops_entry(ref)
        if fields:
            beside = _beside({"role": used_by.role, "aws_profile": used_by.profile})
            named = ", ".join(f"{name}: {_quoted(text)}" for name, text in fields.items())
            entry = f"{{{named}{beside}}}"
        lists.setdefault(scheme.sops_group or scheme.sops_list, []).append(entry)
    lead = "      - "
    for name, entries in lists.items():
        yield f"{lead}{name}:"
        yield from (f"          - {entry}" for entry in entries)
        lead = "        "


def _quoted(text: str) -> str:
    from secretsvc.manifest.scalars import canonical as spelled

    return spelled(text, flow=True)
