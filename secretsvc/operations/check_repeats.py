"""Repeats of a Secret's values in the clear beside them, as far as that can be told without a key."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.manifest import nodes
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.formats.base import Flaw as Hit
    from secretsvc.manifest.model import Manifest, Secret

_LEAST = 4
_MARKS = ("[", "<", "(", "{", "$", "%", "*", "|", ">", "&", "!", "#", "ref+")
"""What a placeholder or a reference starts with."""
_WORDS = (
    *("base64", "bytes", "changeme", "change-me", "example", "false", "file", "hidden", "missing", "none", "null"),
    *("number", "optional", "passphrase", "passwd", "password", "placeholder", "redacted", "removed", "required"),
    *("sealed", "secret", "string", "text", "todo", "token", "true", "unused", "value"),
)
"""What stands for a value, in lower case."""
_PROSE = pattern(r"(?i)[\s…]|\.\.\.|^(?:your|my|some|the|see)[-_:]|^https?://[^@]*$")


def copied(secret: Secret) -> Iterator[Hit]:
    """Annotations in which tools keep a copy of a Secret, sealed or not."""
    metadata = nodes.value(secret.root, "metadata")
    if not isinstance(metadata, nodes.Mapping) or not nodes.member(metadata, "annotations"):
        return
    from secretsvc.manifest.copies import copies

    for copy in copies(secret):
        yield copy.line, "KS005", f"the annotation {copy.name} of {secret.label} repeats its data in the clear"


def commented_out(manifest: Manifest) -> dict[int, list[Hit]]:
    """Return, by a Secret's line, comments in it that read as a sealed entry's value, `# password: hunter2`."""
    found: dict[int, list[Hit]] = {}
    if manifest.is_json or not _may_comment_out(manifest.text):
        return found
    from secretsvc.operations.clear_rest import ClearRest, commented_entries

    format_ = formats.of(manifest)
    for line, secret, key, value in commented_entries(ClearRest(manifest, ()).pieces, manifest.secrets):
        sealed = any(entry.key == key and format_.is_token(entry.value) for entry in secret.entries)
        if sealed and _is_value(value, key):
            what = f"a comment in {secret.label} seems to give a value of {key} in the clear"
            found.setdefault(secret.line, []).append((line, "KS005", what))
    return found


def _may_comment_out(text: str) -> bool:
    """Tell whether some line reads as a comment of a key and a value."""
    if "#" not in text:
        return False
    comments = (line.partition("#")[2] for line in text.split("\n"))
    return any(":" in comment or "=" in comment for comment in comments)


def _is_value(text: str, key: str) -> bool:
    """Tell whether that may be a value, and is neither a placeholder nor prose."""
    bare = text.lower()
    if len(text) < _LEAST or len(set(text)) == 1 or text.startswith(_MARKS) or formats.starts_token(text):
        return False
    return bare not in _WORDS and bare != key.lower() and not _PROSE.search(text)
