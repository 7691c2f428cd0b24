"""What tests of documents share: metadata, and sealing as a format does it, with tokens that tell leaves apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.document.base import Edit, Value, apply
from secretsvc.document.kinds import read

if TYPE_CHECKING:
    from secretsvc.document.base import Document, Tree

METADATA: dict[str, Tree] = {
    "age": [{"recipient": "age1x", "enc": "-----BEGIN\nx\n-----END\n"}],
    "kms": [{"arn": "arn:aws:kms:eu-west-1:1:key/k", "context": {"app": "x"}}],
    "lastmodified": "2024-01-02T03:04:05Z",
    "mac": "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]",
    "mac_only_encrypted": True,
    "shamir_threshold": 2,
}


def leaves(document: Document) -> list[tuple[tuple[str | int, ...], str, bytes]]:
    return [(leaf.path, leaf.value.kind, leaf.value.text) for leaf in document.leaves]


def is_sealed_there(value: Value) -> bool:
    return value.kind != "null" and value.text != b""


def sealed(kind: str, data: bytes) -> bytes:
    """All leaves as tokens, and the metadata added."""
    document = read(kind, data, "sops")
    edits: list[Edit] = []
    for number, leaf in enumerate(document.leaves):
        if is_sealed_there(leaf.value):
            edits += document.spell(leaf, b"ENC[%d==,%s]" % (number, leaf.value.kind.encode()))
    return apply(data, edits + document.set_member(METADATA))


def opened(kind: str, data: bytes, original: bytes) -> bytes:
    """Sealed data with the values of the original again, and without the metadata."""
    document, clear = read(kind, data, "sops"), read(kind, original, "sops")
    edits: list[Edit] = []
    for leaf, was in zip(document.leaves, clear.leaves, strict=True):
        assert leaf.path == was.path
        if is_sealed_there(was.value):
            edits += document.spell(leaf, was.value)
    return apply(data, edits + document.drop_member())
