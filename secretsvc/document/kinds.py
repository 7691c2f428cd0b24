"""Kinds of documents, told by the end of a file's name, and the reader for each.

https://github.com/getsops/sops/blob/main/cmd/sops/formats/formats.go: lower case only, and any other name is `binary`.
"""

from __future__ import annotations

from secretsvc.document.base import MOST_LEAVES
from secretsvc.errors import ManifestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.document.base import Document

KINDS = ("yaml", "json", "dotenv", "ini", "binary")

TEXTS_ONLY = ("dotenv", "ini")
"""Kinds that read every value as a text."""

_ENDINGS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".env": "dotenv", ".ini": "ini"}


def kind_of(name: str) -> str:
    """Return the kind of a file of that name or path."""
    return next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), "binary")


def kind_of_sealed(data: bytes, member: str, name: str = "", most: int = MOST_LEAVES) -> str:
    """Return the kind of a file that may have that member: by the end of its name, else by how it is written.

    Metadata in lines of dotenv and INI look like those of one kind only, whatever YAML the name promises; JSON without
    a name is `binary` where it has but one value more.
    """
    named = kind_of(name)
    if named in ("json", "dotenv", "ini"):
        return named
    own = member.encode()
    if b"\n%b_mac=" % own in b"\n" + data:
        return "dotenv"
    section = b"[%b]" % own
    if section in data and any(line.lstrip(b" \t").startswith(section) for line in data.split(b"\n")):
        return "ini"
    if named == "yaml" or data.lstrip()[:1] != b"{":
        return "yaml"
    return "binary" if _is_whole(data, member, most) else "json"


def _is_whole(data: bytes, member: str, most: int) -> bool:
    from secretsvc.document import whole

    try:
        return whole.is_sealed(whole.read(data, member, most))
    except ManifestError:
        return False


def read(kind: str, data: bytes, member: str, most: int = MOST_LEAVES) -> Document:
    """Return the document in a file's bytes, of so many leaves at most; `member` names what is no part of its tree.

    Raises ManifestError.
    """
    if kind == "json":
        from secretsvc.document.json_document import JsonDocument

        return JsonDocument(data, member, most)
    if kind == "dotenv":
        from secretsvc.document.dotenv import Dotenv

        return Dotenv(data, member, most)
    if kind == "ini":
        from secretsvc.document.ini import Ini

        return Ini(data, member, most)
    if kind == "yaml":
        from secretsvc.document.yaml import YamlDocument

        return YamlDocument(data, member, most)
    from secretsvc.document import whole

    return whole.read(data, member, most)
