"""A manifest, as the rest of the program knows it: a text, and the Secrets in it with their values' places."""

from __future__ import annotations

from secretsvc.manifest.nodes import Member, Scalar
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from secretsvc.manifest.nodes import Mapping, Node

FIELDS = ("data", "stringData")
"""The fields whose values are sealed, in the order in which formats count them."""


class Entry(Record):
    """One `key: value` under `data` or `stringData`."""

    field: str
    key: str
    scalar: Scalar
    column: int
    """Column of the mapping that the entry stands in: what a block scalar's indentation counts from."""
    flow: bool
    """Whether that mapping stands between brackets."""

    @property
    def place(self) -> tuple[str, str]:
        """Return field and key, which tell it from a Secret's other entries."""
        return self.field, self.key

    @property
    def path(self) -> str:
        """Return it as messages name it: `data["tls.key"]`."""
        return f'{self.field}["{self.key}"]'

    @property
    def value(self) -> str:
        """The text that the parser makes of the scalar: clear text, or a token."""
        return self.scalar.value

    def __repr__(self) -> str:
        return f"Entry({self.path}, masked)"


class Secret(Record):
    """One Secret of a manifest."""

    root: Mapping
    namespace: str | None
    name: str | None
    type: str
    entries: tuple[Entry, ...]

    @property
    def line(self) -> int:
        return self.root.line

    @property
    def label(self) -> str:
        """Return it as messages name it: `prod/db-auth`, or the line where it has no name."""
        name = self.name or f"the Secret at line {self.line}"
        return f"{self.namespace}/{name}" if self.namespace else name


class Manifest(Record):
    """A whole text. `text` lacks the BOM, which `bom` remembers; all places count in `text`."""

    text: str
    bom: bool
    is_json: bool
    documents: tuple[Node, ...]
    """Every document's root."""
    secrets: tuple[Secret, ...]
    told: dict[str, Any]
    """Facts that others found in the text, by name, so that nobody searches it again for each of its Secrets."""

    @property
    def data(self) -> bytes:
        """The text as bytes, its BOM included."""
        return self.encoded(self.text)

    def encoded(self, text: str) -> bytes:
        """A changed text as bytes, with this manifest's BOM."""
        return (b"\xef\xbb\xbf" if self.bom else b"") + text.encode()

    def outline(self, *kept: str) -> Manifest:
        """The text and the Secrets without their tree, which takes a hundred times a terse text's bytes.

        Enough to compare values and to put them in their places; so no two trees of one text need to be in memory at
        once. `kept`: members of Secrets that stay, to be taken out or put in their place.
        """
        return self._replace(documents=(), secrets=tuple(_outline(secret, kept) for secret in self.secrets))

    def __repr__(self) -> str:
        return f"Manifest({len(self.secrets)} Secrets, masked)"


def _outline(secret: Secret, kept: Collection[str]) -> Secret:
    """Return it with no members but those and their neighbours, of which nothing but their places stays."""
    members = secret.root.members
    whole = {index for index, (key, _) in enumerate(members) if isinstance(key, Scalar) and key.value in kept}
    near = {index + step for index in whole for step in (-1, 0, 1)} & set(range(len(members)))
    left = [
        members[index] if index in whole else Member(_place(members[index].key), _place(members[index].value))
        for index in sorted(near)
    ]
    return secret._replace(root=secret.root._replace(members=left))


def _place(node: Node) -> Scalar:
    return Scalar(node.start, node.end, node.line, "", "", None, None)


def decode_base64(text: str) -> bytes:
    """Return what Go's `base64.StdEncoding` makes of a `data` value: padding required, line breaks ignored (RFC 4648).

    Raises ValueError.
    """
    from binascii import a2b_base64  # 0.3 ms, in all three, that a conversion for Git's log does not need

    return a2b_base64(text.replace("\r", "").replace("\n", ""), strict_mode=True)


def encode_base64(data: bytes) -> str:
    """Standard base64 in one line. (`base64` would do, whose import a start does not need: it imports `re`.)"""
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode()


def decode_strict(text: str) -> bytes:
    """Standard base64 in its one canonical spelling (RFC 4648, section 3.5), else ValueError."""
    from binascii import a2b_base64

    raw = a2b_base64(text, strict_mode=True)
    if encode_base64(raw) != text:
        raise ValueError("not canonical base64")
    return raw
