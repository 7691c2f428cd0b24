"""Sealed text that ksecret can't open where it stands: its envelope is gone, it was base64-encoded, or it is SOPS's.

To Kubernetes it is a value like any other, so whoever takes it for clear text deploys a token in place of a password.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.manifest import nodes
from secretsvc.manifest.model import decode_base64
from secretsvc.tokens import SOPS_TOKEN, TOKEN_PREFIX, WHOLE_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.manifest.nodes import Mapping

_MARKERS = (b"ENC[AES256_GCM,", b"a3NlY3JldC52MS", b"RU5DW0FFUzI1Nl9HQ00s")
"""How SOPS's tokens start, and the base64 of ksecret's and SOPS's, as far as it does not hang on what follows."""
_HIDDEN = re.compile(
    rb"\\(?:x|u00|U000000)(?:6[bB]|73|65|63|72|74)"  # an escape of a letter of ksecret
    rb"|[ksecr](?:\\(?:\r\n?|\n|\xc2\x85|\xe2\x80[\xa8\xa9])[ \t]*+)++[secrt]"  # a line that goes on after a backslash
)
"""How a member's name or a token may be spelled without the word standing there."""
KUBESEC_TOKEN = r"(?:[A-Za-z0-9+/]+={0,2}\.)?[A-Za-z0-9+/]{16}\.[A-Za-z0-9+/]{22}=="  # noqa: S105
_KUBESEC_TAIL = rb"\.[A-Za-z0-9+/]{16}\.[A-Za-z0-9+/]{22}=="


class Lost(NamedTuple):
    """One piece of it. `message` and `hint` are an error's, without any value."""

    line: int
    message: str
    hint: str
    foreign: bool = False
    """Whether another tool sealed it, and opens it."""


BY_SOPS = "`sops decrypt` opens it; what comes out, ksecret encrypt seals"
"""What to do about a file that SOPS sealed."""


def may_stand_in(content: bytes | mmap) -> bool:
    """Whether bytes that have none of the formats' own markers look as if some of it stood there."""
    if any(content.find(marker) >= 0 for marker in _MARKERS) or re.search(_KUBESEC_TAIL, content):
        return True
    return content.find(b"\\") >= 0 and _HIDDEN.search(content) is not None


def in_secret(secret: Secret) -> Iterator[Lost]:
    """What of it stands in a Secret that is taken for one in the clear."""
    if nodes.member(secret.root, "sops"):
        yield Lost(secret.line, f"{secret.label} is sealed by SOPS", BY_SOPS, foreign=True)
    for entry in secret.entries:
        found = _what(entry, entry.value.strip()) or _encoded(entry)
        if found:
            yield found


def in_manifest(manifest: Manifest) -> Iterator[Lost]:
    """What of it stands in a whole manifest: in Secrets without an envelope, and in any object that SOPS has sealed."""
    if manifest.is_kubesec:
        return
    for secret in manifest.secrets:
        if not secret.envelope:
            yield from in_secret(secret)
    for document in manifest.documents:
        if isinstance(document, nodes.Mapping) and _has_sops_metadata(document):
            yield Lost(document.line, "it is sealed by SOPS", BY_SOPS, foreign=True)


def is_encoded(entry: Entry) -> bool:
    """Whether it is the base64 of a token, whoever's."""
    return _encoded(entry) is not None


def _what(entry: Entry, text: str) -> Lost | None:
    line = entry.scalar.line
    if text.startswith(TOKEN_PREFIX):
        hint = "restore the `ksecret:` member from Git, or put the clear value there"
        return Lost(line, f"{entry.path} is a ksecret token, but its Secret has no envelope", hint)
    if TOKEN_PREFIX in text and re.search(WHOLE_TOKEN, text):
        hint = "put the clear value there, and seal the whole"
        return Lost(line, f"{entry.path} has a ksecret token in it, and nothing opens it there", hint)
    # The dots first: to try the whole pattern on a value of megabytes holds the interpreter's lock for long.
    if text[-25:-24] == "." and text[-42:-41] in ("", ".") and re.fullmatch(KUBESEC_TOKEN, text):
        hint = "restore the file from Git, with its `# kubesec:` lines, or put the clear value there"
        return Lost(line, f"{entry.path} is a token of kubesec's, and nothing opens it here", hint)
    if re.fullmatch(SOPS_TOKEN, text):
        hint = "restore the `sops:` member from Git and decrypt it with sops, or put the clear value there"
        return Lost(line, f"{entry.path} is a token of SOPS's", hint)
    return None


def _encoded(entry: Entry) -> Lost | None:
    try:
        text = decode_base64(entry.value).decode("ascii").strip()
    except ValueError:
        return None
    if not _what(entry, text):
        return None
    hint = "put the token there as it is, with its envelope, or the clear value"
    return Lost(entry.scalar.line, f"{entry.path} is a token that was base64-encoded", hint)


def _has_sops_metadata(document: Mapping) -> bool:
    metadata = nodes.value(document, "sops")
    return isinstance(metadata, nodes.Mapping) and nodes.member(metadata, "mac") is not None
