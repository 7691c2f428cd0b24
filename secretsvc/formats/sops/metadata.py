"""The `sops` member: what it says, read from a tree of any store, and the tree that is written.

Source: stores/stores.go of getsops/sops. Nothing in it is proven but the MAC and, as its AAD, `lastmodified`.
"""

from __future__ import annotations

from secretsvc.backends import canonical
from secretsvc.document.yaml_types import plain
from secretsvc.errors import RESTORE_HINT, AlteredError, InputError, KeyRefError
from secretsvc.formats.base import decoded
from secretsvc.formats.sops import armour
from secretsvc.formats.sops.selection import DEFAULT, RULES
from secretsvc.keyref import MOST_KEYS, KeyRef, WrappedKey
from secretsvc.manifest.model import encode_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from secretsvc.document.base import Tree

MEMBER = "sops"
VERSION = "3.13.3"
"""The one whose way of writing ours is; SOPS demands some."""

LISTS = {
    "kms": ("aws", "arn"),
    "gcp_kms": ("gcp", "resource_id"),
    "hckms": ("hckms", "key_id"),
    "azure_kv": ("azure", "name"),
    "hc_vault": ("vault", "key_name"),
    "pgp": ("pgp", "fp"),
    "age": ("age", "recipient"),
}
"""Lists of keys, in SOPS's order of trying them: the scheme of our KeyRefs, and the field with the key's name."""

OPENED = ("aws", "gcp", "azure", "vault", "pgp", "age")
"""Schemes that a backend is here for."""

_DIGITS = "0123456789"
_IN_ENDINGS = frozenset(f"{_DIGITS}ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-+.")
_LONGEST_ENDING = 64
"""Characters behind a version's three numbers."""
EMPTY_GROUP: dict[str, Tree] = {"hc_vault": [], "age": []}
"""Lists that SOPS writes for a group of keys, be there none of these kinds."""

_TO_URL, _FROM_URL = str.maketrans("+/", "-_"), str.maketrans("-_", "+/")
"""Between base64 and base64url (RFC 4648, section 5)."""

_MOST_GROUPS = 255
_LONGEST = 4096
"""Characters of a key's name, a context's word, a rule: longer ones are nobody's."""


class KeyEntry:
    """One key of a file: the fields as they stand, and what we make of them."""

    __slots__ = ("fields", "key", "list")

    def __init__(self, list_: str, key: WrappedKey, fields: dict[str, Tree]) -> None:
        self.list = list_
        self.key = key
        self.fields = fields

    @property
    def role(self) -> str:
        """The IAM role that whoever wrote the file wants the key used in. It counts where a policy names it too."""
        return str(self.fields.get("role") or "")

    @property
    def profile(self) -> str:
        """The profile of AWS whose credentials they want used; we use those that its reader has chosen."""
        return str(self.fields.get("aws_profile") or "")

    @property
    def is_opened_here(self) -> bool:
        """Tell whether a backend is here for it, and it asks for no role."""
        return self.is_opened_in("")

    def is_opened_in(self, role: str) -> bool:
        """Tell whether a backend is here for it, and it asks for no role but the one that a policy names."""
        return self.key.ref.scheme in OPENED and self.role in ("", role)

    def __repr__(self) -> str:
        return f"KeyEntry({self.key.ref}, masked)"


class Metadata:
    """Content of the member: what a file says of itself."""

    __slots__ = (
        "entries",
        "last_modified",
        "line",
        "mac",
        "mac_only_encrypted",
        "rule",
        "threshold",
        "tree",
        "version",
    )

    def __init__(self, tree: dict[str, Any], line: int) -> None:
        """Raises AlteredError for what no SOPS would write, with the line of the member."""
        self.line = line
        self.tree = tree
        self.mac = _text(tree, "mac", line)
        self.version = _text(tree, "version", line)
        self.last_modified = _time(_text(tree, "lastmodified", line), line)
        self.mac_only_encrypted = _flag(tree, "mac_only_encrypted", line)
        self.threshold = _number(tree, "shamir_threshold", line)
        self.rule = _rule(tree, line)
        if not _is_version(self.version):
            raise _broken("states no version of SOPS", line)
        self.entries = tuple(_entries(tree, line))
        if not self.entries:
            raise _broken("names no key", line)
        if len(self.entries) > MOST_KEYS:
            raise _broken(f"names more than {MOST_KEYS} keys", line)

    @property
    def keys(self) -> tuple[WrappedKey, ...]:
        """Every key that wraps the data key, or a share of it."""
        return tuple(entry.key for entry in self.entries)

    @property
    def groups(self) -> int:
        """Return how many groups of keys there are. With several the data key is split, a share for each."""
        return max(entry.key.group for entry in self.entries) + 1

    @property
    def created(self) -> str:
        """Time of the data key, as far as its oldest entry tells (age's tell nothing): empty, or as `created`."""
        return min((text for text in map(_created, self.entries) if text), default="")

    def changed(self, **fields: Tree) -> dict[str, Tree]:
        """Return the tree with these fields; None takes one out."""
        return {name: value for name, value in (self.tree | fields).items() if value is not None}

    def __repr__(self) -> str:
        return "Metadata(masked)"


def is_member(tree: object) -> bool:
    """Tell whether a member `sops` is SOPS's own: it has a MAC, its time, a version and keys, good or not."""
    if not isinstance(tree, dict) or not all(name in tree for name in ("mac", "lastmodified", "version")):
        return False
    return any(tree.get(name) for name in (*LISTS, "key_groups"))


def is_broken(tree: dict[str, Tree]) -> bool:
    """Tell whether a member that is not SOPS's own has something of it left."""
    return any(name in tree for name in ("mac", "lastmodified", "key_groups", *LISTS))


def with_keys(entries: Sequence[dict[str, list[dict[str, Tree]]]], threshold: int) -> dict[str, Tree]:
    """Return the fields of groups of keys, each by its list: flat for one group, else `key_groups`."""
    if len(entries) == 1:
        return {name: list(fields) for name, fields in entries[0].items()}
    groups: list[Tree] = [{**EMPTY_GROUP, **group} for group in entries]  # type: ignore[dict-item]
    return {"key_groups": groups, **({"shamir_threshold": threshold} if threshold else {})}


def list_of(ref: KeyRef) -> str:
    """Return the list that a key of that scheme goes into. Raises InputError for one that SOPS has none for."""
    for name, (scheme, _) in LISTS.items():
        if scheme == ref.scheme and scheme in OPENED:
            return name
    raise InputError(f"{ref}: SOPS's format has no place for a key of that kind", hint="use --format ksecret")


def fields_of(key: WrappedKey, created: str, *, profile: str = "", role: str = "") -> dict[str, Tree]:
    """Return an entry for a key that was wrapped just now, by whom `sops` is to use it, too."""
    ref = key.ref
    if ref.scheme == "age":
        return {"recipient": ref.id, "enc": armour.age_text(key.wrapped)}
    if ref.scheme == "pgp":
        return {"created_at": created, "enc": armour.pgp_text(key.wrapped), "fp": ref.id}
    if ref.scheme == "vault":
        address, _, path = ref.id.partition("/v1/")
        engine, _, name = path.rpartition("/keys/")
        where: dict[str, Tree] = {"vault_address": address, "engine_path": engine, "key_name": name}
        return {**where, "created_at": created, "enc": key.wrapped.decode()}
    wrapped = encode_base64(key.wrapped)
    if ref.scheme == "azure":
        vault, _, version = ref.id.rpartition("/")
        vault, _, name = vault.rpartition("/keys/")
        enc = wrapped.translate(_TO_URL).rstrip("=")
        return {"vault_url": vault, "name": name, "version": version, "created_at": created, "enc": enc}
    if ref.scheme == "gcp":
        return {"created_at": created, "enc": wrapped, "resource_id": ref.id}
    asked: dict[str, Tree] = {"role": role} if role else {}
    context: dict[str, Tree] = {"context": dict(key.context)} if key.context else {}
    return {"arn": ref.id, **asked, **context, "created_at": created, "enc": wrapped, "aws_profile": profile}


def _created(entry: KeyEntry) -> str:
    from secretsvc.formats import created  # where that is asked for

    text = str(entry.fields.get("created_at"))
    try:
        created.seconds(text)
    except ValueError:
        return ""
    return text


def _entries(tree: dict[str, Any], line: int) -> list[KeyEntry]:
    if any(tree.get(name) for name in LISTS):
        return _of_group(tree, 0, line)
    groups = tree.get("key_groups") or []
    if not isinstance(groups, list) or len(groups) > _MOST_GROUPS:
        raise _broken("has groups of keys that are no list", line)
    found: list[KeyEntry] = []
    for number, group in enumerate(groups):
        if not isinstance(group, dict):
            raise _broken("has a group of keys that is none", line)
        found += _of_group(group, number, line)
    return found


def _of_group(tree: dict[str, Any], group: int, line: int) -> list[KeyEntry]:
    found = []
    for name, (scheme, field) in LISTS.items():
        items = tree.get(name) or []
        if not isinstance(items, list):
            raise _broken(f"has under {name} what is no list", line)
        for fields in items:
            if not isinstance(fields, dict):
                raise _broken(f"has a key under {name} that is none", line)
            text, *_ = (_text(fields, one, line) for one in (field, "role", "aws_profile"))
            wrapped = _text(fields, "enc", line)
            ref = KeyRef(scheme, _name_of(name, fields, text, line))
            context = _context(fields, line) if name == "kms" else {}  # SOPS sends no other one
            found.append(KeyEntry(name, WrappedKey(ref, _wrapped(name, wrapped), context, group), fields))
    return found


def _name_of(name: str, fields: dict[str, Any], text: str, line: int) -> str:
    """A key's name as our KeyRefs have it: fingerprints without what GnuPG is told beside."""
    if name == "pgp":
        return text.removesuffix("!").replace(" ", "").upper()
    if name == "azure_kv":
        vault = _text(fields, "vault_url", line).rstrip("/")
        return _canonical("azure", f"{vault}/keys/{text}/{_text(fields, 'version', line)}")
    if name == "hc_vault":
        engine = f"{_text(fields, 'vault_address', line)}/v1/{_text(fields, 'engine_path', line)}"
        return _canonical("vault", f"{engine}/keys/{text}")
    return text


def _canonical(scheme: str, named: str) -> str:
    """A key's name in the one spelling that backends know; as it is where it is none, which who opens by it is told."""
    try:
        return canonical(f"{scheme}:{named}").id
    except KeyRefError:
        return named


def _wrapped(name: str, text: str) -> bytes:
    """The bytes that a backend takes; empty where the file has something else than it should have."""
    if len(text) > armour.MOST_CHARACTERS:
        return b""
    if name == "age":
        return armour.age_bytes(text)
    if name == "pgp":
        return armour.pgp_bytes(text)
    if name == "azure_kv":
        return decoded(text.strip().translate(_FROM_URL) + "=" * (-len(text.strip()) % 4))
    return decoded(text.strip()) if name in ("kms", "gcp_kms") else text.encode("utf-8", "replace")


def _context(fields: dict[str, Any], line: int) -> dict[str, str]:
    context = fields.get("context") or {}
    if not isinstance(context, dict):
        raise _broken("has a key with a context that is no mapping", line)
    return {_text({"context": word}, "context", line): _text(context, word, line) for word in context}


def _text(tree: dict[str, Any], field: str, line: int) -> str:
    value = tree.get(field)
    if value is None:
        return ""
    most = armour.MOST_CHARACTERS if field == "enc" else _LONGEST
    if not isinstance(value, str) or len(value) > most or (field != "enc" and not value.isprintable()):
        raise _broken(f"has under {field} what is no text of one line", line)
    return value


def _rule(tree: dict[str, Any], line: int) -> tuple[str, str]:
    """The one rule. Raises AlteredError for several; its pattern is looked at when it is used."""
    found = [(name, tree[name]) for name in RULES if tree.get(name)]
    if len(found) > 1:
        raise _broken("has more than one rule", line)
    if not found:
        return DEFAULT
    name, pattern = found[0]
    if not isinstance(pattern, str):
        raise _broken(f"has a {name} that is no text", line)
    return name, pattern


def _is_version(text: str) -> bool:
    """Tell whether a text is three numbers with points between, and at most 64 characters of a version behind."""
    numbers = text.split(".", 2)
    behind = numbers[-1].lstrip(_DIGITS)
    numbers[-1] = numbers[-1].removesuffix(behind)
    are_numbers = len(numbers) == 3 and all(number and not number.strip(_DIGITS) for number in numbers)
    return are_numbers and len(behind) <= _LONGEST_ENDING and _IN_ENDINGS.issuperset(behind)


def _time(text: str, line: int) -> str:
    """As SOPS writes it, which is what the MAC is sealed with: UTC where it says so, no fraction."""
    value = plain(text) if text and "T" in text else None
    if not value or value.kind != "time":
        raise _broken("has a lastmodified that is no time", line)
    text = value.text.decode()
    seconds, point, fraction = text.partition(".")
    return seconds + fraction.lstrip(_DIGITS) if point else text


def _flag(tree: dict[str, Any], field: str, line: int) -> bool:
    value = tree.get(field)
    if value not in (None, True, False, "true", "false", ""):
        raise _broken(f"has a {field} that is neither true nor false", line)
    return value in (True, "true")


def _number(tree: dict[str, Any], field: str, line: int) -> int:
    value = tree.get(field) or 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_GROUPS:
        raise _broken(f"has a {field} that is no number of groups", line)
    return value


def _broken(what: str, line: int) -> AlteredError:
    return AlteredError(f"its member {MEMBER} {what}", hint=RESTORE_HINT, line=line)
