"""An opened manifest as the plain data that templates walk through."""

from __future__ import annotations

from secretsvc.errors import ManifestError
from secretsvc.manifest.model import decode_base64
from secretsvc.manifest.nodes import MOST_NODES, Mapping, Scalar, Sequence, resolved
from secretsvc.manifest.reader import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Secret
    from secretsvc.manifest.nodes import Node
    from secretsvc.operations.go_template import Value


def trees(data: bytes, *, decoded: bool) -> list[Value]:
    """Each Secret of a manifest in the clear. `decoded`: values under `data` as the bytes that they encode.

    Raises ManifestError.
    """
    return [_tree(secret, decoded=decoded) for secret in read(data).secrets]


def _tree(secret: Secret, *, decoded: bool) -> Value:
    tree = _Plain().of(secret.root)
    assert isinstance(tree, dict)
    if decoded and "data" in tree:
        tree["data"] = {entry.key: _bytes(entry.path, entry.value) for entry in secret.entries if entry.field == "data"}
    return tree


def _bytes(path: str, text: str) -> bytes:
    try:
        return decode_base64(text)
    except ValueError:
        raise ManifestError(f"{path} is not base64") from None


class _Plain:
    """Plain data of nodes, until there is too much: a few aliases can stand for any number of nodes."""

    def __init__(self) -> None:
        self._left = MOST_NODES

    def of(self, node: Node | None) -> Value:
        """Scalars are the texts that stand there: `true` is "true"."""
        node = resolved(node)
        self._left -= 1
        if node and self._left < 0:
            raise ManifestError("its aliases stand for too much", hint="write them out", line=node.line)
        if isinstance(node, Mapping):
            return {key.value: self.of(value) for key, value in node.members if isinstance(key, Scalar)}
        if isinstance(node, Sequence):
            return [self.of(item) for item in node.items]
        return node.value if isinstance(node, Scalar) else ""
