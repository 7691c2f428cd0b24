"""Flaws of a *ksecret v1* envelope, or a token, whatever the key."""

from __future__ import annotations

from secretsvc.errors import KsecretError
from secretsvc.formats import created
from secretsvc.formats.base import Examined, token_of
from secretsvc.formats.ksecret import envelope
from secretsvc.formats.ksecret.envelope import TOKEN_PREFIX
from secretsvc.manifest.model import decode_strict
from secretsvc.tokens import UNMERGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.formats.base import Flaw
    from secretsvc.manifest.model import Secret

_NONCE_AND_TAG, _BLOCK, _SEAL = 28, 64, 32
"""Lengths in bytes (design FORMAT)."""


def examine(secret: Secret) -> Examined:
    """Return what its envelope tells, and what is wrong."""
    member = envelope.member_of(secret)
    assert member
    line = member.key.line
    tokens = tuple(_broken_tokens(secret))
    try:
        read = envelope.read(member)
    except KsecretError as error:
        code = "KS012" if error.message.startswith(UNMERGED) else "KS006"
        return Examined(line, envelope.is_token, ((error.line or line, code, error.message), *tokens))
    flaws = [(line, "KS006", what) for what in _wrong_in(read)]
    try:
        envelope.check_bound(read.sealed_for, secret)
    except KsecretError as error:
        flaws.append((line, "KS007", error.message))
    groups = tuple(map(tuple, read.groups))
    return Examined(line, envelope.is_token, (*flaws, *tokens), groups, read.threshold, _seconds(read.created))


def _wrong_in(read: envelope.Envelope) -> Iterator[str]:
    for group in read.groups:
        for ref, wrapped in group.items():
            if not _decoded(wrapped):
                yield f"the data key wrapped under {ref} is not base64"
    if len(_decoded(read.seal)) != _SEAL:
        yield f"the envelope's seal is not the base64 of {_SEAL} bytes"
    if not _seconds(read.created):
        yield "the envelope's `created` is not a time such as 2026-11-23T03:10:20Z"


def _broken_tokens(secret: Secret) -> Iterator[Flaw]:
    for entry in secret.entries:
        if envelope.is_token(entry.value):
            length = len(_decoded(token_of(entry).removeprefix(TOKEN_PREFIX))) - _NONCE_AND_TAG
            if length < _BLOCK or length % _BLOCK:
                yield entry.scalar.line, "KS006", f"{entry.path} is a token that was cut or altered"


def _decoded(text: str) -> bytes:
    """Return the bytes of base64 in its one spelling; none for another."""
    try:
        return decode_strict(text)
    except ValueError:
        return b""


def _seconds(text: str) -> int:
    try:
        return created.seconds(text)
    except ValueError:
        return 0
