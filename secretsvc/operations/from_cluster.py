"""Members that only a cluster sets, brought along by `kubectl get -o yaml`, and that must not go back."""

from __future__ import annotations

from secretsvc.manifest import nodes
from secretsvc.manifest.copies import copies
from secretsvc.manifest.nodes import Mapping, Scalar, Sequence
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import apply, remove_members
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from secretsvc.manifest.model import Secret
    from secretsvc.manifest.nodes import Node
    from secretsvc.manifest.splice import Edit

_HARMFUL = ("uid", "resourceVersion", "managedFields", "ownerReferences")
"""Of the metadata: preconditions of whatever writes the object, what a server-side apply refuses, and an owner that
takes the Secret along when it goes (Kubernetes API conventions, "Metadata"; "Server-Side Apply"; "Garbage Collection").
"""
_IGNORED = ("creationTimestamp", "generation", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Of the metadata: the API server sets them, and passes over what anybody else says."""
_STATUS = "status"
"""No field of a Secret."""

MARKS = tuple(name.encode() for name in (*_HARMFUL, _STATUS))
"""One of these stands in a file of which `brought_along` tells anything, unless it is spelled in escapes."""


class Brought(Record):
    """The line of the first member that only a cluster sets, and all their names."""

    line: int
    names: tuple[str, ...]


def brought_along(data: bytes) -> Brought | None:
    """Return what in its Secrets would make a later apply fail; None for nothing. Raises ManifestError."""
    found = [member for secret in read(data, allow_binary_tag=True).secrets for member in _harmful(secret)]
    if not found:
        return None
    return Brought(min(line for line, _ in found), tuple(dict.fromkeys(name for _, name in found)))


def _harmful(secret: Secret) -> Iterator[tuple[int, str]]:
    metadata = nodes.value(secret.root, "metadata")
    for holder, names in ((metadata, _HARMFUL), (secret.root, (_STATUS,))):
        for name in names:
            found = nodes.member(holder, name) if isinstance(holder, Mapping) else None
            if found and not _is_empty(found.value):
                yield found.key.line, name


def without_cluster(data: bytes) -> bytes:
    """The manifest without what only the cluster sets in its Secrets, nor copies that tools keep in annotations.

    Annotations go whole where none is left. All other bytes stay. Raises ManifestError.
    """
    manifest = read(data, allow_binary_tag=True)
    gone: dict[int, tuple[Mapping, set[str]]] = {}  # by place: two Secrets may share annotations
    for secret in manifest.secrets:
        for holder, names in _removed(secret):
            gone.setdefault(holder.start, (holder, set()))[1].update(names)
    edits: list[Edit] = []
    for holder, names in gone.values():
        edits += remove_members(manifest.text, holder, names)
    return manifest.encoded(apply(manifest.text, edits))


def _removed(secret: Secret) -> Iterator[tuple[Mapping, set[str]]]:
    """Mappings of that Secret, and the names of their members that go."""
    yield secret.root, {_STATUS}
    metadata = nodes.value(secret.root, "metadata")
    if not isinstance(metadata, Mapping):
        return
    found = list(copies(secret))
    yield metadata, {*_HARMFUL, *_IGNORED}
    annotations = nodes.member(metadata, "annotations")
    if annotations and _is_empty(annotations.value, {copy.name for copy in found}):
        yield metadata, {"annotations"}
    else:
        for copy in found:
            yield copy.holder, {copy.name}


def _is_empty(node: Node, without: Container[str] = ()) -> bool:
    """Tell whether nothing is left in it, and nothing refers to it."""
    if isinstance(node, Mapping) and not node.anchor:
        return all(isinstance(key, Scalar) and key.value in without for key, _ in node.members)
    if isinstance(node, Sequence):
        return not node.items
    return isinstance(node, Scalar) and not node.anchor and (nodes.is_null(node) or not node.value)
