"""Bytes → Manifest: finds every Secret and refuses what can't be replaced and restored exactly.

The rules that hold sealed or not are here; those for values in the clear are in `rules`. A Secret must not be missed
for how it is written: it would stay in the clear. So finding them errs on the side of finding one: of repeated, merged
and aliased members every one counts, and `!!binary` is what Go's YAML makes of it, text.
"""

from __future__ import annotations

from secretsvc.errors import BoundError, ManifestError
from secretsvc.manifest import nodes
from secretsvc.manifest.line_reader import documents
from secretsvc.manifest.model import FIELDS, Entry, Manifest, Secret
from secretsvc.manifest.nodes import BINARY, Alias, Mapping, Member, Node, Scalar, Sequence, new, text_of
from secretsvc.manifest.scalars import is_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

MAX_BYTES = 8 * 1024 * 1024
"""The largest file that is read, in bytes."""

MOST_SECRETS = 5_000
"""In one file. To seal so many takes 4 s."""

MOST_ENTRIES = 10_000
"""Values of one Secret. Kubernetes takes 1 MiB of them together."""

_CORE = frozenset(("v1", "/v1"))
"""How an apiVersion may say `v1`: kubectl takes an empty group before the slash as well."""

_KEY_CHARACTERS = "-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def read(data: bytes, *, allow_binary_tag: bool = False, most_nodes: int = nodes.MOST_NODES) -> Manifest:
    """The manifest in `data`. `allow_binary_tag` lets `!!binary` stand on values (for clear-text input).

    Raises ManifestError with a line: not UTF-8, too large (in bytes or nodes), malformed, or refused.
    """
    if len(data) > MAX_BYTES:
        raise ManifestError(f"larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(data, ManifestError("not UTF-8 text", hint="convert the file to UTF-8", line=line)) from None
    bom = text.startswith("\ufeff")
    text = text[1:] if bom else text
    try:
        found, is_json = documents(text, most_nodes)
    except BoundError:
        raise
    except ManifestError as error:
        raise _unreadable(data, error) from None
    merges = nodes.MergeKeys()
    roots = [root for document in found for root in secret_roots(document, merges)]
    if len(roots) > MOST_SECRETS:
        hint = "split it into several files"
        raise ManifestError(f"more than {MOST_SECRETS} Secrets in one file", hint=hint, line=roots[MOST_SECRETS].line)
    secrets = tuple(_secret(root, merges, allow_binary_tag=allow_binary_tag) for root in roots)
    return Manifest(text, bom, is_json, tuple(found), secrets, {})


def _unreadable(data: bytes, error: ManifestError) -> ManifestError:
    from secretsvc.manifest import foreign  # only to tell what is wrong

    return foreign.unreadable(data, error)


def _secret(root: Mapping, merges: nodes.MergeKeys, *, allow_binary_tag: bool) -> Secret:
    _refuse_odd_keys(root)
    members = _members(root)
    namespace = name = None
    metadata = members.get("metadata")
    if metadata:
        holder = _plain_mapping(metadata, "metadata")
        if holder:
            stated = _members(holder)
            namespace, name = _identity(stated, "namespace"), _identity(stated, "name")
            _follow_annotations(stated, merges)
    return Secret(
        root,
        namespace,
        name,
        _identity(members, "type") or "Opaque",
        tuple(entry for field in FIELDS for entry in _entries(members, field, allow_binary_tag)),
    )


def _refuse_odd_keys(node: Node) -> None:
    """Refuses keys that stand twice, and those that may be another one than they look like."""
    if isinstance(node, Sequence):
        for item in node.items:
            if not isinstance(item, Scalar):
                _refuse_odd_keys(item)
    elif isinstance(node, Mapping):
        names: set[str] = set()
        deeper: list[Node] = []
        for key, value in node.members:
            if isinstance(key, Scalar) and key.tag is None:
                names.add(key.value)
            if not isinstance(value, Scalar):
                deeper.append(value)
        if len(names) < len(node.members):
            _refuse_keys(node)
        for value in deeper:
            _refuse_odd_keys(value)


def _refuse_keys(mapping: Mapping) -> None:
    """The same of one mapping's own keys; lists and mappings may be keys."""
    seen = set()
    for key, _ in mapping.members:
        if isinstance(key, Alias) or key.tag:
            what = "an alias" if isinstance(key, Alias) else "a tag"
            raise ManifestError(f"{what} for a key of a Secret", hint="write the key itself", line=key.line)
        if isinstance(key, Scalar):
            if key.value in seen:
                raise ManifestError("a duplicate key in a Secret", hint="keep one of the two", line=key.line)
            seen.add(key.value)


def _members(mapping: Mapping) -> dict[str, Member]:
    """Return them by name; keys that stand twice, and tags, are refused by then. Refuses a merge key."""
    found = {key.value: member for member in mapping.members if isinstance(key := member.key, Scalar)}
    if "<<" in found:
        _refuse_merge(found["<<"].key)
    return found


def _refuse_merge(key: Node) -> None:
    if nodes.is_merge(key):
        raise ManifestError("a merge key (<<) in a Secret", hint="write out what it brings in", line=key.line)


def _follow_annotations(stated: dict[str, Member], merges: nodes.MergeKeys) -> None:
    """Counts what stands in for annotations, so that who looks at them later need not."""
    member = stated.get("annotations")
    annotations = nodes.resolved(member.value) if member else None
    if member and isinstance(annotations, Mapping):
        for _ in merges.with_bases(annotations, shared=annotations is not member.value):
            pass


def _plain_mapping(member: Member, what: str) -> Mapping | None:
    """The mapping that is the member's value, None for a null; refuses one shared with another place, or no mapping."""
    refuse_shared(member.value, what)
    if isinstance(member.value, Mapping):
        return member.value
    if nodes.is_null(member.value):
        return None
    raise ManifestError(f"{what} is not a mapping", hint="write it as KEY: VALUE lines", line=member.key.line)


def refuse_shared(node: Node, what: str, tag: str = "") -> None:
    """Refuses an alias, an anchor, and any tag but that one. Raises ManifestError."""
    if isinstance(node, Alias):
        raise ManifestError(f"{what} is an alias", hint="write the value out in its place", line=node.line)
    if node.anchor:
        raise ManifestError(f"{what} has an anchor", hint="remove the anchor and what refers to it", line=node.line)
    if node.tag and not (isinstance(node, Scalar) and node.tag == tag):
        raise ManifestError(f"{what} has a tag", hint="remove the tag and quote the value", line=node.line)


def _identity(members: dict[str, Member], name: str) -> str | None:
    """A text that a Secret is bound to (name, namespace, type); None where it is absent or null."""
    found = members.get(name)
    if found and _is_text(found.value):
        return found.value.value
    if not found or nodes.is_null(found.value):
        return None
    refuse_shared(found.value, name)
    if not isinstance(found.value, Scalar) or not (found.value.style or is_string(found.value.value)):
        raise ManifestError(f"{name} is not a string", hint="quote it", line=found.value.line)
    return found.value.value


def _entries(members: dict[str, Member], field: str, allow_binary_tag: bool) -> Iterator[Entry]:
    holder = members.get(field)
    mapping = _plain_mapping(holder, field) if holder else None
    if not mapping:
        return
    if len(mapping.members) > MOST_ENTRIES:
        message = f"more than {MOST_ENTRIES} values under {field}"
        raise ManifestError(message, hint="split it into several Secrets", line=mapping.line)
    tag = BINARY if allow_binary_tag else ""
    for member in mapping.members:
        key, value = member
        key, value = (key, value) if _is_text(key) and _is_text(value) else _checked(member, field, tag)
        _refuse_key_name(key, field)
        yield new(Entry, (field, key.value, value, mapping.column, mapping.flow))


def _is_text(node: Node) -> TypeGuard[Scalar]:
    """Tell whether it is a string to Kubernetes, and shared with no other place."""
    return (
        isinstance(node, Scalar)
        and node.anchor is None
        and node.tag is None
        and bool(node.style or is_string(node.value))
    )


def _checked(member: Member, field: str, tag: str) -> tuple[Scalar, Scalar]:
    """Return an entry's key and value, which may have that tag. Refuses all else that is not just two texts."""
    key, value = member
    _refuse_merge(key)
    refuse_shared(key, f"a key under {field}")
    if not isinstance(key, Scalar) or not (key.style or is_string(key.value)):
        raise ManifestError(f"a key under {field} is not a string", hint="quote it", line=key.line)
    _refuse_key_name(key, field)
    path = f'{field}["{key.value}"]'
    refuse_shared(value, path, tag)
    if nodes.is_null(value):
        raise ManifestError(f"{path} is null", hint='quote it: write "" for an empty value', line=value.line)
    if not isinstance(value, Scalar):
        kind = "mapping" if isinstance(value, Mapping) else "list"
        raise ManifestError(f"{path} is a {kind}", hint="a Secret's values are strings", line=key.line)
    if not (value.style or value.tag or is_string(value.value)):
        hint = "quote it: unquoted it is a number or a boolean, or may become one"
        raise ManifestError(f"{path} is not a string", hint=hint, line=value.line)
    return key, value


def _refuse_key_name(key: Scalar, field: str) -> None:
    """Kubernetes' rule for a Secret's keys (design KUBECTL, section 2)."""
    name = key.value
    fits = 0 < len(name) <= 253 and not name.strip(_KEY_CHARACTERS)
    if not fits or name == "." or name.startswith(".."):
        raise ManifestError(
            f"a key under {field} has a name that Kubernetes refuses",
            hint="use up to 253 letters, digits, '-', '_' and '.', not starting with '..'",
            line=key.line,
        )


def secret_roots(document: Node, merges: nodes.MergeKeys) -> list[Mapping]:
    """The Secrets at a document's root or among a list's items, and nowhere deeper, in the order in which they are met.

    To kubectl a list is whatever has `items`. Raises ManifestError for a Secret that is an alias or a list, and where
    merge keys bring in too much.
    """
    found: dict[int, Mapping] = {}
    seen: set[tuple[int, str, bool]] = set()
    opened: set[tuple[int, str]] = set()
    waiting: list[tuple[Node, str]] = [(document, "")]  # and what it is without saying so
    while waiting:
        node, listed_kind = waiting.pop()
        mapping = nodes.resolved(node)
        if not isinstance(mapping, Mapping) or (way := (mapping.start, listed_kind, isinstance(node, Alias))) in seen:
            continue
        seen.add(way)
        stated = _stated(mapping, merges)
        kinds = _texts(stated["kind"]) or {listed_kind}
        versions = _texts(stated["apiVersion"])
        lists = [one for one in stated["items"] if isinstance(one, Sequence) and one.items]
        if "Secret" in kinds and (not versions or versions & _CORE):
            if isinstance(node, Alias):
                raise ManifestError("a Secret is an alias", hint="write it out in its place", line=node.line)
            if lists:
                hint = "move the items into a List, or remove them"
                raise ManifestError("a Secret with items, which kubectl takes for a list", hint=hint, line=mapping.line)
            found[mapping.start] = mapping
        if lists:
            item_kind = "Secret" if "SecretList" in kinds else ""
            # An alias may stand for one list in many places: what is in it is looked at once.
            lists = [one for one in lists if (one.start, item_kind) not in opened]
            opened |= {(one.start, item_kind) for one in lists}
            waiting += [(item, item_kind) for one in reversed(lists) for item in reversed(one.items)]
    return list(found.values())


def _texts(found: list[Node]) -> set[str]:
    return {text for node in found if (text := text_of(node))}


def _stated(mapping: Mapping, merges: nodes.MergeKeys) -> dict[str, list[Node]]:
    """Return, by name, every value that tells what it is, repeated and merged ones too; aliases resolved."""
    found: dict[str, list[Node]] = {"apiVersion": [], "kind": [], "items": []}
    for one in merges.with_bases(mapping):
        for key, value in one.members:
            name = key.value if isinstance(key, Scalar) and not key.tag else text_of(key)
            if name in found and not nodes.is_merge(key):
                target = nodes.resolved(value)
                if target:
                    found[name].append(target)
    return found
