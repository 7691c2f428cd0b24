"""Findings in files that SOPS seals, of any kind, and in those that a rule of `.sops.yaml` wants sealed. Needs no key.

Kubernetes objects other than Secrets are left out: the rule that SOPS's manual has for them (`^(data|stringData)$`)
fits ConfigMaps, too.
"""

from __future__ import annotations

from secretsvc.backends import canonical
from secretsvc.document import kinds
from secretsvc.errors import InputError, KeyRefError, KsecretError, ManifestError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.search import may_be_sealed
from secretsvc.formats.sops.selection import DEFAULT, Selection
from secretsvc.operations import documents
from secretsvc.operations.documents.shares import Division
from secretsvc.operations.findings import Finding
from secretsvc.patterns import pattern
from secretsvc.policy.sops_configs import may_be_ruled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from secretsvc.document.base import Document
    from secretsvc.formats.base import Flaw
    from secretsvc.formats.sops.metadata import KeyEntry, Metadata
    from secretsvc.policy.sops_configs import SopsConfigs
    from secretsvc.policy.sops_yaml import CreationRule, SopsKey

    Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]
    """SOPS's kind, the key's name, role, context."""

_LISTED = 5
_ALLOWED = pattern(r"(?:^|\s)#\s*ksecret:allow\s+\S")


def check_tree(
    data: bytes,
    file: str,
    configs: SopsConfigs | None,
    seen: Callable[[documents.SealedTree], None] | None = None,
) -> list[Finding]:
    """The findings in a file, sealed by SOPS or not. Raises InputError, FileError for the policy of a sealed one.

    A comment in its first line allows them all: `# ksecret:allow WHY`. `seen` is given the sealed tree.
    """
    found = [Finding(file, *flaw) for flaw in _flaws(data, file, configs, seen)]
    if found and _ALLOWED.search(data.partition(b"\n")[0].decode("utf-8", "replace")):
        return []
    return found


def _flaws(
    data: bytes, file: str, configs: SopsConfigs | None, seen: Callable[[documents.SealedTree], None] | None
) -> Iterator[Flaw]:
    try:
        is_named = kinds.kind_of(file) in ("yaml", "json")
        tree = documents.find(data, file) if is_named or may_be_sealed(data, file) else None
    except KsecretError as error:
        yield error.line or 1, "KS006", f"it seems to be sealed in SOPS's format, and can't be right: {error.message}"
        return
    if tree:
        if seen:
            seen(tree)
        yield from _sealed(tree, configs, file)
        return
    rule = configs.rule_for_found(file) if configs else None
    if rule and may_be_ruled(data):
        yield from _clear(data, file, rule)


def _clear(data: bytes, file: str, rule: CreationRule) -> Iterator[Flaw]:
    """Values in the clear that the rule wants sealed. What can't be read is nobody's to seal."""
    try:
        document = kinds.read(kinds.kind_of(file), data, MEMBER)
    except ManifestError:
        return
    leaves = list(sealing.flaws(document, Selection(*_selection(document, rule.selection))))
    if leaves:
        names = _listed([sealing.named(leaf.path) for leaf in leaves])
        yield leaves[0].line, "KS001", f"{rule.source} wants it sealed (line {rule.line}); in the clear: {names}"


def _selection(document: Document, selection: tuple[str, str] | None) -> tuple[str, str]:
    """What seals a file of any bytes: all of it, whatever the rule."""
    return ("encrypted_regex", "") if document.kind == "binary" else selection or DEFAULT


def _sealed(tree: documents.SealedTree, configs: SopsConfigs | None, file: str) -> Iterator[Flaw]:
    document, metadata = tree.document, tree.metadata
    try:
        clear = list(sealing.flaws(document, Selection(*_selection(document, metadata.rule))))
    except InputError as error:
        yield metadata.line, "KS006", f"its member {MEMBER}: {error.message}"
        return
    if clear:
        names = _listed([sealing.named(leaf.path) for leaf in clear])
        yield clear[0].line, "KS002", f"it is sealed in SOPS's format, but not all of it; in the clear: {names}"
    values = [leaf.value for leaf in document.leaves if leaf.value.kind not in ("comment", "null") and leaf.value.text]
    if values and not clear and not any(is_token(value.text) for value in values):
        what = f"nothing of it is sealed, though SOPS has been at it: its {metadata.rule[0]} means no value"
        yield metadata.line, "KS020", what
    if configs:
        yield from _drift(document, metadata, configs, file)


def _drift(document: Document, metadata: Metadata, configs: SopsConfigs, file: str) -> Iterator[Flaw]:
    """Differences from the file's rule. Raises InputError, FileError for a policy that can't be used."""
    from secretsvc.policy.sops_yaml import NoRuleError

    try:
        rule = configs.rule_for_sealed(file)
    except NoRuleError as error:
        yield metadata.line, "KS015", f"no rule of {error.file} fits it, so nothing says who may open it"
        return
    if not rule:
        return
    parts = list(_keys_that_differ(metadata, rule)) if any(rule.groups) else []
    if parts:
        yield metadata.line, "KS008", f"it differs from {rule.source}: {'; '.join(parts)}"
    if document.kind != "binary" and rule.selection not in (None, metadata.rule):
        assert rule.selection
        held, wanted = (" ".join(selection) for selection in (metadata.rule, rule.selection))
        yield metadata.line, "KS019", f"it is sealed by {held}, and {rule.source} says {wanted}"
    if rule.mac_only_encrypted != metadata.mac_only_encrypted:
        which = ("all values", "sealed values only")
        covers, due = which[metadata.mac_only_encrypted], which[rule.mac_only_encrypted]
        yield metadata.line, "KS019", f"its MAC covers {covers}, and by {rule.source} it covers {due}"


def _keys_that_differ(metadata: Metadata, rule: CreationRule) -> Iterator[str]:
    try:
        wanted = [{_of_rule(key): key.text for key in group} for group in rule.groups]
    except KeyRefError:
        return  # KS018 tells
    held: list[dict[Key, str]] = [{} for _ in range(metadata.groups)]
    for entry in metadata.entries:
        held[entry.key.group][_of_entry(entry)] = str(entry.key.ref)
    several = max(len(wanted), len(held)) > 1
    for number in range(max(len(wanted), len(held))):
        due, has = (side[number] if number < len(side) else {} for side in (wanted, held))
        group = f" (group {number + 1})" if several else ""
        lacking, extra = [due[key] for key in due if key not in has], [has[key] for key in has if key not in due]
        if lacking:
            yield f"not sealed to {_listed(lacking)}{group}"
        if extra:
            yield f"sealed to {_listed(extra)} as well{group}"
    needs, should = Division(len(held), metadata.threshold).needed, Division(len(wanted), rule.threshold).needed
    if needs != should:
        yield f"{needs} of its groups open it, and should be {should}"


def _of_rule(key: SopsKey) -> Key:
    """Raises KeyRefError."""
    name = key.name
    if key.is_used_here:
        name = canonical(_text(key)).id
    return key.kind, _without_version(key.kind, name), key.role, tuple(sorted(key.context.items()))


def _text(key: SopsKey) -> str:
    """The KeyRef of a key that a backend is here for; without the sign that has gpg use that subkey and no other."""
    return key.text.removesuffix("!")


def _of_entry(entry: KeyEntry) -> Key:
    name = _without_version(entry.list, entry.key.ref.id)
    return entry.list, name, entry.role, tuple(sorted(entry.key.context.items()))


def _without_version(kind: str, name: str) -> str:
    """A key's name; Azure's without its version, which a policy may leave to the vault."""
    return "/".join(name.split("/")[:5]) if kind == "azure_kv" else name


def check_config(rules: Iterable[CreationRule], file: str) -> Iterator[Finding]:
    """KS018 for each key of a `.sops.yaml` that no backend takes. What it is may be a secret: no text."""
    from secretsvc.backends import verify

    for rule in rules:
        for key in (key for group in rule.groups for key in group if key.is_used_here):
            try:
                verify(_text(key))
            except KeyRefError as error:
                yield Finding(file, key.line, "KS018", f"a key of the kind {key.kind}: {error.message}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
