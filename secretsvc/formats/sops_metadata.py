"""SOPS's metadata, as far as they tell without a key: a Secret that SOPS sealed is no finding of `check`."""

from __future__ import annotations

import re

from secretsvc.formats.base import Examined, decoded
from secretsvc.manifest import nodes
from secretsvc.tokens import SOPS_TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Secret

_NONCE_AND_TAG = 32, 16
_KEYS = ("key_groups", "kms", "gcp_kms", "azure_kv", "hc_vault", "age", "pgp", "hckms")
"""Of SOPS's metadata: https://github.com/getsops/sops/blob/main/stores/stores.go (type Metadata), aes/cipher.go."""


def sealed_by_sops(secret: Secret) -> Examined | None:
    """Return what a member `sops` tells that has what SOPS needs to open it; keys and age are SOPS's business."""
    member = nodes.member(secret.root, "sops")
    if not member or not isinstance(member.value, nodes.Mapping) or not _may_open(member.value):
        return None
    return Examined(member.key.line, is_token, ())


def _may_open(sops: nodes.Mapping) -> bool:
    """Tell whether it has a MAC, its time and a key: what SOPS refuses to be without."""
    mac, modified = (nodes.value(sops, name) for name in ("mac", "lastmodified"))
    if (
        not isinstance(mac, nodes.Scalar)
        or not is_whole_sops_token(mac.value)
        or not isinstance(modified, nodes.Scalar)
    ):
        return False
    keys = (nodes.value(sops, name) for name in _KEYS)
    return bool(modified.value) and any(isinstance(some, nodes.Sequence) and some.items for some in keys)


def is_whole_sops_token(value: str) -> bool:
    """Tell whether it is a token of SOPS from its first to its last character."""
    if not re.fullmatch(SOPS_TOKEN, value):
        return False
    parts = {name: decoded(part) for name, _, part in (one.partition(":") for one in value[:-1].split(",")[1:4])}
    return bool(parts["data"]) and (len(parts["iv"]), len(parts["tag"])) == _NONCE_AND_TAG


def is_token(value: str) -> bool:
    """Tell whether a value counts as sealed by SOPS."""
    return not value or is_whole_sops_token(value)  # SOPS leaves empty texts as they are
