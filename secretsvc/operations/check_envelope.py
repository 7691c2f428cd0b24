"""What envelopes tell without a key, and what about them can't be right: ksecret's, kubesec's and SOPS's."""

from __future__ import annotations

import calendar
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.errors import KsecretError
from secretsvc.formats.ksecret import envelope as ksecret
from secretsvc.formats.kubesec import envelope as kubesec
from secretsvc.manifest import nodes
from secretsvc.tokens import SOPS_TOKEN, TOKEN_PREFIX, UNMERGED, decode_strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretsvc.manifest.model import Entry, Manifest, Secret

Hit = tuple[int, str, str]
"""Line, code and message: a finding without its file."""

_NONCE_AND_TAG, _BLOCK, _SEAL = 28, 64, 32
"""Lengths in bytes (design FORMAT)."""
_KUBESEC_MAC = r"[A-Za-z0-9+/]{16}\.[A-Za-z0-9+/]{22}=="

_SOPS_NONCE_AND_TAG = 32, 16
_SOPS_KEYS = ("key_groups", "kms", "gcp_kms", "azure_kv", "hc_vault", "age", "pgp", "hckms")
"""Of SOPS's metadata: https://github.com/getsops/sops/blob/main/stores/stores.go (type Metadata), aes/cipher.go."""


class Sealed(NamedTuple):
    """What an envelope tells, whatever its format."""

    line: int
    is_token: Callable[[Entry], bool]
    hits: tuple[Hit, ...]
    """What is wrong with it."""
    keys: tuple[str, ...] = ()
    """KeyRefs; none where they are not known."""
    created: int = 0
    """When the DEK was made, in seconds since 1970; 0 where it is not known."""


def sealed_by_ksecret(secret: Secret) -> Sealed | None:
    """By the member `ksecret`."""
    if not secret.envelope:
        return None
    line = secret.envelope.key.line
    tokens = tuple(_broken_tokens(secret))
    try:
        envelope = ksecret.read(secret.envelope)
    except KsecretError as error:
        code = "KS012" if error.message.startswith(UNMERGED) else "KS006"
        return Sealed(line, ksecret.is_token, ((error.line or line, code, error.message), *tokens))
    hits = [(line, "KS006", what) for what in _wrong_in(envelope)]
    try:
        ksecret.check_bound(envelope.sealed_for, secret)
    except KsecretError as error:
        hits.append((line, "KS007", error.message))
    return Sealed(line, ksecret.is_token, (*hits, *tokens), tuple(envelope.keys), _seconds(envelope.created))


def _wrong_in(envelope: ksecret.Envelope) -> Iterator[str]:
    for ref, wrapped in envelope.keys.items():
        if not _decoded(wrapped):
            yield f"the data key wrapped under {ref} is not base64"
    if len(_decoded(envelope.seal)) != _SEAL:
        yield f"the envelope's seal is not the base64 of {_SEAL} bytes"
    if not _seconds(envelope.created):
        yield "the envelope's `created` is not a time such as 2026-11-23T03:10:20Z"


def _broken_tokens(secret: Secret) -> Iterator[Hit]:
    for entry in secret.entries:
        if ksecret.is_token(entry):
            length = len(_decoded(ksecret.token(entry).removeprefix(TOKEN_PREFIX))) - _NONCE_AND_TAG
            if length < _BLOCK or length % _BLOCK:
                yield entry.scalar.line, "KS006", f"{entry.path} is a token that was cut or altered"


def _decoded(text: str) -> bytes:
    """Nothing for what is not base64."""
    try:
        return decode_strict(text)
    except ValueError:
        return b""


def _seconds(created: str) -> int:
    try:
        return calendar.timegm(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return 0


def sealed_by_kubesec(manifest: Manifest) -> Sealed | None:
    """By kubesec's comment lines: a version, keys, and from v3 on a MAC."""
    if not manifest.is_kubesec:
        return None
    line = manifest.text.count("\n", 0, manifest.text.index("\n# kubesec:v:")) + 2
    try:
        _, envelope = kubesec.read(manifest)
    except KsecretError as error:
        return Sealed(line, kubesec.is_token, ((error.line or line, "KS006", error.message),))
    hits: tuple[Hit, ...] = ()
    if envelope.version in ("3", "4") and not re.fullmatch(_KUBESEC_MAC, envelope.mac):
        hits = ((line, "KS006", "kubesec's line with the MAC is missing or broken"),)
    return Sealed(line, kubesec.is_token, hits, tuple(map(str, envelope.refs)))


def sealed_by_sops(secret: Secret) -> Sealed | None:
    """By a member `sops` that has what SOPS needs to open it. Its keys and their age are SOPS's business."""
    member = nodes.member(secret.root, "sops")
    if not member or not isinstance(member.value, nodes.Mapping) or not _may_open(member.value):
        return None
    return Sealed(member.key.line, _is_sops_token, ())


def _may_open(sops: nodes.Mapping) -> bool:
    """Whether it has a MAC, its time and a key: what SOPS refuses to be without."""
    mac, modified = (nodes.value(sops, name) for name in ("mac", "lastmodified"))
    if (
        not isinstance(mac, nodes.Scalar)
        or not is_whole_sops_token(mac.value)
        or not isinstance(modified, nodes.Scalar)
    ):
        return False
    keys = (nodes.value(sops, name) for name in _SOPS_KEYS)
    return bool(modified.value) and any(isinstance(some, nodes.Sequence) and some.items for some in keys)


def is_whole_sops_token(value: str) -> bool:
    """Whether it is a token of SOPS from its first to its last character."""
    if not re.fullmatch(SOPS_TOKEN, value):
        return False
    parts = {name: _decoded(part) for name, _, part in (one.partition(":") for one in value[:-1].split(",")[1:4])}
    return bool(parts["data"]) and (len(parts["iv"]), len(parts["tag"])) == _SOPS_NONCE_AND_TAG


def _is_sops_token(entry: Entry) -> bool:
    return not entry.value or is_whole_sops_token(entry.value)  # SOPS leaves empty texts as they are
