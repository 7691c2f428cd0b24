"""Annotations in which tools keep a copy of a Secret as they got it: its data stands there once more, in the clear.

Each is known by its name and made anew by its tool, so that a manifest needs none of them.
"""

from __future__ import annotations

from secretsvc.manifest import nodes
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.nodes import Mapping, Scalar
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.manifest.model import Secret
    from secretsvc.manifest.nodes import Member

MOST_UNPACKED = 4 * 1024 * 1024
"""Bytes up to which a copy is unpacked: Kubernetes takes 256 KiB of annotations, so a real one has fewer."""

_NAMES = ("kapp.k14s.io/original", "kapp.k14s.io/original-diff", "objectset.rio.cattle.io/applied")
"""kapp's (https://carvel.dev/kapp/docs/latest/diff/), and that of Rancher's and Fleet's appliers: gzip in base64."""
_LAST_PARTS = ("last-applied-configuration", "last-applied", "last-handled-configuration")
"""What follows the slash in names of kubectl's, KubeVela's, Metacontroller's, Banzai Cloud's and kopf's."""


class Copy(Record):
    """One such annotation with data in it: the mapping that holds it, and its member there."""

    holder: Mapping
    member: Member
    name: str

    @property
    def line(self) -> int:
        return self.member.key.line


def copies(secret: Secret) -> Iterator[Copy]:
    """The Secret's annotations that keep a copy with data in it, those that merge keys bring in too."""
    metadata = nodes.value(secret.root, "metadata")
    own = nodes.member(metadata, "annotations") if isinstance(metadata, Mapping) else None
    annotations = nodes.resolved(own.value) if own else None
    if not own or not isinstance(annotations, Mapping):
        return
    for holder in nodes.MergeKeys().with_bases(annotations):  # which the reader has counted
        for member in holder.members:
            name = member.key.value if isinstance(member.key, Scalar) else ""
            text = nodes.resolved(member.value)
            # What many Secrets may share is not read for each: no tool writes such a thing.
            is_shared = holder is not own.value or text is not member.value
            if is_known(name) and isinstance(text, Scalar) and (is_shared or _holds_data(text.value)):
                yield Copy(holder, member, name)


def mentioned(text: str) -> bool:
    """Tell whether one of them seems to be in a text that can't be read."""
    return any(name in text for name in (*_NAMES, *(f"/{last}" for last in _LAST_PARTS)))


def is_known(name: str) -> bool:
    """Tell whether an annotation is one of them, by its name."""
    prefix, slash, last = name.rpartition("/")
    return name in _NAMES or bool(prefix and slash and last in _LAST_PARTS)


def _holds_data(text: str) -> bool:
    """Tell whether a text holds a value; one that can't be read counts."""
    from json import loads  # only where such an annotation is met

    bare = text.strip()
    if not bare:
        return False
    try:
        return _tells(loads(bare if bare[0] in "[{" else _unpacked(bare), object_pairs_hook=_Pairs))
    except (ValueError, RecursionError):
        return True


class _Pairs(list[tuple[str, object]]):
    """A JSON object with all its members, repeated ones too."""


def _tells(found: object) -> bool:
    """Tell whether a `data` or `stringData` with something in it is there at any depth, or a JSON patch of one."""
    if isinstance(found, _Pairs):
        return any((name in FIELDS and bool(value)) or _tells(value) for name, value in found)
    if isinstance(found, list):
        return any(map(_tells, found))
    return isinstance(found, str) and found.startswith(tuple(f"/{field}" for field in FIELDS))


def _unpacked(text: str) -> bytes:
    """JSON that was compressed and base64-encoded. Raises ValueError for anything else, and for too much of it."""
    import zlib
    from base64 import b64decode

    packed = b64decode(text, validate=True)
    try:
        return zlib.decompressobj(wbits=47).decompress(packed, MOST_UNPACKED)
    except zlib.error:
        raise ValueError("not compressed") from None
