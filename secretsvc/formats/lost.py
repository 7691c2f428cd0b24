"""Sealed text that ksecret can't open where it stands: its envelope is gone, it was base64-encoded, or it is SOPS's.

To Kubernetes it is a value like any other, so whoever takes it for clear text deploys a token in place of a password.
"""

from __future__ import annotations

from secretsvc import formats
from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes
from secretsvc.manifest.model import decode_base64
from secretsvc.patterns import pattern
from secretsvc.record import Record
from secretsvc.tokens import NOT_YET, SOPS_CUT, SOPS_MARK, SOPS_TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from mmap import mmap

    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.manifest.nodes import Mapping, Node

_SOPS = (SOPS_MARK, b"RU5DW0FFUzI1Nl9HQ00s")
"""How SOPS's tokens start, and the base64 of that, as far as it does not hang on what follows."""
_SOPS_TOKEN = pattern(SOPS_TOKEN)
_HIDDEN = pattern(
    rb"\\(?:x|u00|U000000)(?:6[bB]|73|65|63|72|74)"  # an escape of a letter of ksecret
    rb"|[ksecr](?:\\(?:\r\n?|\n|\xc2\x85|\xe2\x80[\xa8\xa9])[ \t]*+)++[secrt]"  # a line that goes on after a backslash
)
"""How a member's name or a token may be spelled without the word standing there."""
_IN_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n"
_WAY_BACK = "restore the `sops:` member from Git, or put the clear value there"
_LOOKED_AT = 8
"""Characters of a value of which one tells a token from base64, before any format is asked."""


class Lost(Record):
    """One piece of it. `message` and `hint` are an error's, without any value."""

    line: int
    message: str
    hint: str
    foreign: bool = False
    """Whether another tool sealed it, and opens it."""


def may_stand_in(content: bytes | mmap) -> bool:
    """Tell whether bytes that have none of the formats' own markers look as if some of it stood there."""
    if any(content.find(marker) >= 0 for marker in _SOPS) or formats.may_have_traces(content):
        return True
    return content.find(b"\\") >= 0 and _HIDDEN.search(content) is not None


def in_secret(secret: Secret) -> Iterator[Lost]:
    """Return what of it stands in a Secret that is taken for one in the clear."""
    if nodes.member(secret.root, "sops"):
        yield Lost(secret.line, f"{secret.label} is sealed by SOPS", _way_on(secret.root), foreign=True)
    for entry in secret.entries:
        found = _what(entry, entry.value.strip()) or _encoded(entry)
        if found:
            yield found


def in_manifest(manifest: Manifest) -> Iterator[Lost]:
    """Return what of it stands in a whole manifest, or another YAML or JSON file.

    In Secrets without an envelope, in any object that SOPS has sealed, and anywhere else a token of SOPS's.
    """
    format_ = formats.of(manifest)
    sealed = [format_.is_sealed(manifest, secret) for secret in manifest.secrets]
    if format_.whole_file and any(sealed):
        return
    for secret, is_sealed in zip(manifest.secrets, sealed, strict=True):
        if not is_sealed:
            yield from in_secret(secret)
    may_have_tokens = "ENC[" in manifest.text
    secrets = {id(secret.root) for secret in manifest.secrets}
    for document in manifest.documents:
        if isinstance(document, nodes.Mapping) and _has_sops_metadata(document):
            yield Lost(document.line, "it is sealed by SOPS", _way_on(document), foreign=True)
        elif may_have_tokens:
            yield from _outside_secrets(document, secrets)


def _outside_secrets(document: Node, secrets: Container[int]) -> Iterator[Lost]:
    """Return SOPS's tokens in what is none of these Secrets: of a values file, say, that has lost its member `sops`."""
    waiting = [("it", document)]
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, nodes.Scalar):
            if _is_of_sops(node.value):
                yield Lost(node.line, f"{name} is a token of SOPS's", _WAY_BACK)
        elif isinstance(node, nodes.Sequence):
            waiting += [(name, item) for item in reversed(node.items)]
        elif isinstance(node, nodes.Mapping) and id(node) not in secrets:
            waiting += [(nodes.text_of(member.key) or name, member.value) for member in reversed(node.members)]


def is_encoded(entry: Entry) -> bool:
    """Tell whether it is the base64 of a token, whoever's, or what is left of one."""
    text = entry.value.lstrip()
    if text[:_LOOKED_AT].strip(_IN_BASE64):
        return False
    cut = any(format_.encoded and text.startswith(format_.encoded) for format_ in formats.every())
    return cut or _encoded(entry) is not None


def refuse(secret: Secret) -> None:
    """Raises ManifestError for what of it stands in a Secret that is to be sealed."""
    for found in in_secret(secret):
        raise ManifestError(found.message, hint=found.hint, line=found.line)


def _what(entry: Entry, text: str) -> Lost | None:
    line = entry.scalar.line
    for format_ in formats.every():
        found = format_.lost(entry.path, text)
        if found:
            return Lost(line, *found)
    return Lost(line, f"{entry.path} is a token of SOPS's", _WAY_BACK) if _is_of_sops(text) else None


def _is_of_sops(text: str) -> bool:
    return text.startswith("ENC[") and _SOPS_TOKEN.fullmatch(text) is not None


def _encoded(entry: Entry) -> Lost | None:
    try:
        text = decode_base64(entry.value).decode("ascii").strip()
    except ValueError:
        return None
    if not _what(entry, text):
        return None
    hint = "put the token there as it is, with its envelope, or the clear value"
    return Lost(entry.scalar.line, f"{entry.path} is a token that was base64-encoded", hint)


def _way_on(document: Mapping) -> str:
    """What to do about a document that SOPS sealed: whole ones are opened elsewhere, so somebody asked for more."""
    from secretsvc.formats.sops.metadata import is_member  # few files are

    metadata = nodes.value(document, "sops")
    members = metadata.members if isinstance(metadata, nodes.Mapping) else ()
    names = [member.key.value for member in members if isinstance(member.key, nodes.Scalar)]
    return NOT_YET if is_member(dict.fromkeys(names, True)) else SOPS_CUT


def _has_sops_metadata(document: Mapping) -> bool:
    metadata = nodes.value(document, "sops")
    return isinstance(metadata, nodes.Mapping) and nodes.member(metadata, "mac") is not None
