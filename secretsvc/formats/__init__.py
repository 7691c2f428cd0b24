"""The formats that Secrets are sealed in: one row and one folder each, with a `format` that states what it is.

Everybody else asks for the format of a text (`of`) or of a name (`named`), and never which one it is.
"""

from __future__ import annotations

import sys

from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    from secretsvc.formats.base import Format
    from secretsvc.manifest.model import Manifest


class Row(Record):
    """The facts of a format that are known before its modules are imported, which a cold start pays for."""

    module: str
    """Where its `FORMAT` is."""
    marker: str
    """What the text of every file has that is sealed so, as far as a look tells; `"\\n"` stands for a line's start."""
    pattern: str
    """A regular expression for `git grep` that fits a line of every such file."""
    trace: bytes = b""
    """A regular expression for what a file may have of it that has lost its marker; empty where nothing tells."""


TABLE = {
    "ksecret": Row("secretsvc.formats.ksecret", "ksecret", r"ksecret\.v1\.", rb"a3NlY3JldC52MS"),
    "kubesec": Row(
        "secretsvc.formats.kubesec",
        "\n# kubesec:v:",
        "^# kubesec:v:",
        trace=rb"\.[A-Za-z0-9+/]{16}\.[A-Za-z0-9+/]{22}==",
    ),
}
"""By name. The first is what Secrets are sealed in where nothing else is said, and told by its envelope alone."""

DEFAULT = "ksecret"

_MARKERS = tuple(row.marker.strip("\n").encode() for row in TABLE.values())
"""What a file holds that has a sealed Secret in it, in whatever format."""


def named(name: str) -> Format:
    """Return the format of that name; the default one for an empty name. Raises KeyError."""
    module = TABLE[name or DEFAULT].module
    __import__(module)
    found: Format = sys.modules[module].FORMAT
    return found


def of(manifest: Manifest) -> Format:
    """Return the format that a manifest is sealed in, as far as it is; the default one where nothing tells another."""
    found: Format | None = manifest.told.get("format")
    if found is None:
        others = (name for name, row in TABLE.items() if name != DEFAULT and row.marker in manifest.text)
        found = manifest.told["format"] = named(next(others, DEFAULT))
    return found


def sealed_in(manifest: Manifest) -> list[int]:
    """Return the indexes of the Secrets that are sealed. Raises ManifestError where an envelope is nobody's."""
    format_ = of(manifest)
    format_.check_owner(manifest)
    return [index for index, secret in enumerate(manifest.secrets) if format_.is_sealed(manifest, secret)]


def starts_token(text: str) -> bool:
    """Tell whether a text starts as a token of some format does; the rest of it may be cut off or hidden."""
    return any(format_.is_token(text) for format_ in every())


def outline(manifest: Manifest, *kept: str) -> Manifest:
    """Return the manifest's outline, with the envelopes in it. `kept`: other members that are to stay."""
    return manifest.outline(of(manifest).member, *kept)


def in_text(text: str) -> Iterator[Format]:
    """Return those of which something may stand in a text, be it no manifest."""
    return (named(name) for name, row in TABLE.items() if row.marker in text)


def may_be_sealed(content: bytes | mmap) -> bool:
    """Tell whether something in it may be sealed, in whatever format."""
    return any(content.find(marker) >= 0 for marker in _MARKERS)


def holds_sealed(content: bytes) -> bool:
    """Tell whether sealed text stands in it, and not just a word that may tell of some."""
    return any(pattern(b"(?m)" + row.pattern.encode()).search(content) for row in TABLE.values())


def may_have_traces(content: bytes | mmap) -> bool:
    """Tell whether something in it looks like sealed text whose envelope is gone, or that was base64-encoded."""
    return any(pattern(row.trace).search(content) for row in TABLE.values() if row.trace)


def every() -> Iterator[Format]:
    """Return all of them."""
    return map(named, TABLE)


def names() -> tuple[str, ...]:
    """Return the names of all formats."""
    return tuple(TABLE)


def unbinding() -> str:
    """Return those that bind a Secret to no name, as messages name them."""
    return " or ".join(one.label for one in every() if not one.binds)
