"""A description of a sealed manifest, without a key."""

from __future__ import annotations

import time

from secretsvc import formats
from secretsvc.backends import find
from secretsvc.formats import created
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.nodes import MOST_NODES
from secretsvc.manifest.reader import read
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.formats.base import Sealed
    from secretsvc.formats.sops.metadata import KeyEntry
    from secretsvc.keyref import WrappedKey
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.documents import SealedTree


OF_DOCUMENTS = "sops"
"""The format of documents, by which `--format` knows it."""


class Description(Record):
    """One Secret. Nothing here was checked against the seal."""

    namespace: str | None
    name: str | None
    type: str
    line: int
    sealed: bool
    format: str
    sealed_for: str
    created: str
    age_days: int | None
    keys: list[dict[str, str]]
    """`ref`, `owner` where this machine knows one; `group`, from 1, where they are in groups.

    `version`, of the key, where what it wrapped tells.
    """
    entries: dict[str, list[str]]
    """Entry names by field."""
    in_the_clear: list[str]
    """Entries without a token in a sealed Secret, as `field/key`."""
    format_name: str = ""
    """By which `--format` and policies know it; empty where it is not sealed."""
    openers: tuple[frozenset[str], ...] = ()
    """The KeyRefs that can be used of each group of keys. Any one opens what its group has: the DEK, or a share."""
    needed: int = 1
    """How many of these groups have to be opened."""

    @property
    def is_document(self) -> bool:
        """Tell whether it is any tree, and no Secret that Kubernetes would know by a name."""
        return self.format_name == OF_DOCUMENTS

    @property
    def bound(self) -> bool:
        """Tell whether it opens, if it is sealed, under its own namespace and name only."""
        return not self.is_document and formats.named(self.format_name).binds

    @property
    def proves_values(self) -> bool:
        """Tell whether its proof is over values, so that one that fits tells them."""
        return self.is_document or formats.named(self.format_name).proves_values

    @property
    def label(self) -> str:
        """Return it as messages name it: `prod/db-auth`, or the line where it has no name."""
        name = self.name or f"the Secret at line {self.line}"
        return f"{self.namespace}/{name}" if self.namespace else name

    def as_json(self) -> dict[str, object]:
        """The same under the names of the envelope and of JSON: `sealedFor`, `ageDays`, `inTheClear`.

        `threshold` where keys are in groups.
        """
        told = self._fields[: self._fields.index("format_name")]
        found: dict[str, object] = {_camel(name): value for name, value in zip(told, self, strict=False)}
        return found | ({"threshold": self.needed} if self.needed > 1 else {})


def describe_any(
    data: bytes,
    owner: Callable[[str], str],
    name: str = "",
    *,
    kind: str = "",
    most_nodes: int = MOST_NODES,
    most_leaves: int = MOST_NODES,
) -> list[Description]:
    """Return the same of a file that is a manifest, or a tree that SOPS's format seals, which is one.

    `name`: the file's, whose end says of which kind it is, unless `kind` does. A manifest has `most_nodes`, a tree
    `most_leaves` at most.
    """
    if b"sops" in data:
        from secretsvc.operations import documents  # few files are

        sealed = documents.find(data, name, kind, most_leaves)
        if sealed:
            return [_describe_tree(sealed, owner)]
    return describe_manifest(data, owner, most_nodes)


def describe_clear(data: bytes, kind: str, most_leaves: int) -> Description:
    """Return the same of a document that is to be sealed. Raises ManifestError; UsageError where no kind is said."""
    from secretsvc.document import kinds
    from secretsvc.errors import UsageError
    from secretsvc.formats.sops.metadata import MEMBER
    from secretsvc.formats.sops.sealing import named

    if not kind:
        raise UsageError("of which kind is the document?", hint=f"say kind: {', '.join(kinds.KINDS)}")
    document = kinds.read(kind, data, MEMBER, most_leaves)
    paths = [named(leaf.path) for leaf in document.leaves if leaf.value.kind != "comment"]
    return Description(
        *(None, "a document", "", 1),
        sealed=False,
        format="",
        sealed_for="",
        created="",
        age_days=None,
        keys=[],
        entries={"clear": paths},
        in_the_clear=[],
        format_name=OF_DOCUMENTS,
    )


def _describe_tree(sealed: SealedTree, owner: Callable[[str], str]) -> Description:
    from secretsvc.operations import documents

    metadata = sealed.metadata
    tokens, clear = documents.by_rule(sealed)
    rule, pattern = metadata.rule
    covers = ", its MAC over sealed values only" if metadata.mac_only_encrypted else ""
    return Description(
        *(None, "a tree", f"{rule} {pattern}{covers}", metadata.line),
        sealed=True,
        format=f"SOPS {metadata.version}",
        sealed_for="",
        created=metadata.created,
        age_days=_age_days(metadata.created),
        keys=[
            {"ref": str(entry.key.ref), "owner": _asked(entry) or owner(str(entry.key.ref))}
            | _version(entry.key)
            | _group(entry.key, metadata.groups)
            for entry in metadata.entries
        ],
        entries={"sealed": tokens},
        in_the_clear=clear,
        format_name=OF_DOCUMENTS,
        openers=documents.openers(metadata),
        needed=documents.groups_needed(metadata),
    )


def _asked(entry: KeyEntry) -> str:
    """Tell as whom the file wants a key used, which is nobody that we become for it."""
    asked = [f"in the role {entry.role}"] if entry.role else []
    return ", ".join([*asked, *([f"of the profile {entry.profile}"] if entry.profile else [])])


def describe_manifest(data: bytes, owner: Callable[[str], str], most_nodes: int = MOST_NODES) -> list[Description]:
    """Every Secret of the manifest, sealed or not. `owner` names the holder of a KeyRef.

    Raises InputError, AlteredError.
    """
    manifest = read(data, most_nodes=most_nodes)
    return [_describe(manifest, secret, owner) for secret in manifest.secrets]


def _names(secret: Secret) -> dict[str, list[str]]:
    return {field: [entry.key for entry in secret.entries if entry.field == field] for field in FIELDS}


def _describe(manifest: Manifest, secret: Secret, owner: Callable[[str], str]) -> Description:
    format_ = formats.of(manifest)
    sealed = format_.read(manifest, secret) if format_.is_sealed(manifest, secret) else None
    clear = [f"{entry.field}/{entry.key}" for entry in secret.entries if not format_.is_token(entry.value)]
    return Description(
        *(secret.namespace, secret.name, secret.type, secret.line),
        sealed=sealed is not None,
        format=sealed.version if sealed else "",
        sealed_for=sealed.sealed_for if sealed else "",
        created=sealed.created if sealed else "",
        age_days=_age_days(sealed.created) if sealed else None,
        keys=_keys(sealed, owner) if sealed else [],
        entries=_names(secret),
        in_the_clear=clear,
        format_name=format_.name if sealed else "",
        openers=tuple(frozenset(str(key.ref) for key in group) for group in sealed.groups) if sealed else (),
        needed=sealed.threshold if sealed else 1,
    )


def _keys(sealed: Sealed, owner: Callable[[str], str]) -> list[dict[str, str]]:
    count = len(sealed.groups)
    return [
        {"ref": str(key.ref), "owner": owner(str(key.ref))} | _version(key) | _group(key, count) for key in sealed.keys
    ]


def _group(key: WrappedKey, count: int) -> dict[str, str]:
    return {"group": str(key.group + 1)} if count > 1 else {}


def _age_days(text: str) -> int | None:
    """Whole days since then; None for a text that is not a time of this format."""
    try:
        return int(time.time() - created.seconds(text)) // 86400
    except ValueError:
        return None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _version(key: WrappedKey) -> dict[str, str]:
    scheme = find(key.ref.scheme)
    version = scheme.version(key.wrapped) if scheme else ""
    return {"version": version} if version else {}
