"""Which kind of document a file is, by the end of its name, and the reader for each.

https://github.com/getsops/sops/blob/main/cmd/sops/formats/formats.go: lower case only, and any other name is `binary`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.document.base import Document

KINDS = ("yaml", "json", "dotenv", "ini", "binary")

_ENDINGS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".env": "dotenv", ".ini": "ini"}


def kind_of(name: str) -> str:
    """Return the kind of a file of that name or path."""
    return next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), "binary")


def read(kind: str, data: bytes, member: str) -> Document:
    """Return the document in a file's bytes; `member` names what is no part of its tree. Raises ManifestError."""
    if kind == "json":
        from secretsvc.document.json_document import JsonDocument

        return JsonDocument(data, member)
    if kind == "dotenv":
        from secretsvc.document.dotenv import Dotenv

        return Dotenv(data, member)
    if kind == "ini":
        from secretsvc.document.ini import Ini

        return Ini(data, member)
    if kind == "yaml":
        from secretsvc.document.yaml import YamlDocument

        return YamlDocument(data, member)
    from secretsvc.document import whole

    return whole.read(data, member)
