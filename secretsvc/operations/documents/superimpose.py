"""`ksecret merge` of files in SOPS's format: a clear file sealed like another, with the values that the other has."""

from __future__ import annotations

from secretsvc.document import kinds
from secretsvc.document.base import Value, apply
from secretsvc.errors import AlreadySealedError, UsageError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.selection import Selection
from secretsvc.operations import Result
from secretsvc.operations.documents import open_sealed
from secretsvc.operations.documents.changes import proven

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.document.base import Leaf
    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request

_NEW = Value("", b"")
"""Stands for what a leaf held that has no token yet: nothing is the same as that."""


def superimpose_document(source: SealedTree, target: bytes, request: Request, keyring: Keyring) -> Result:
    """Return the target sealed by the source's rule, to its keys, under its data key.

    What both have under the rule is what the source has, its token too. Raises AlreadySealedError for a target that is
    not in the clear, UsageError for other keys and files of any bytes, ManifestError for a target of another kind, and
    what opening raises.
    """
    if any(request.change):
        raise UsageError("merge seals to the source's keys", hint="ksecret keys add, and keys remove, change them")
    kind = source.document.kind
    if kind == "binary":
        raise UsageError("a file of any bytes is one value", hint="ksecret encrypt --format sops seals another one")
    document = kinds.read(kind, target, MEMBER)
    if document.member() is not None:
        raise AlreadySealedError("merge takes a target in the clear", hint="ksecret decrypt opens it")
    opened = open_sealed(source, keyring)
    pairs = zip(source.document.leaves, opened.values, strict=True)
    held = {_place(leaf): (leaf.value.text, value) for leaf, value in pairs}
    selection = Selection(*source.metadata.rule)
    values, before, edits = [], [], []
    for leaf in document.leaves:
        is_due = selection.selects(leaf)
        token, value = held.get(_place(leaf), (b"", leaf.value))
        if leaf.value.kind == "comment" or not is_due or not is_token(token):
            token, value = b"", value if is_due and leaf.value.kind != "comment" else leaf.value
        values.append(value)
        before.append(value if token else _NEW)
        edits += document.spell(leaf, token) if token else []
    sealed = kinds.read(kind, apply(document.data, edits), MEMBER)
    kept = sealing.Opened(source.metadata, opened.dek, before, [])
    plan = sealing.Plan(opened.dek, source.metadata.changed(), request.created, kept)
    made = sealing.seal_document(sealed, values, plan)
    proven(kind, made, opened.dek, values)
    return Result(made, 1)


def _place(leaf: Leaf) -> tuple[object, ...]:
    return (leaf.value.kind == "comment", leaf.unit, leaf.path)
