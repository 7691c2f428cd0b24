"""What stands in a sealed text, told from the text alone: no key, and no library that could use one.

For `git` commands, which run once per file and commit; `secretsvc.formats` knows the same with its cryptography.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.manifest import nodes
from secretsvc.manifest.nodes import Mapping, Scalar

if TYPE_CHECKING:
    from secretsvc.manifest.model import Secret

TOKEN = r"ksecret\.v1\.[A-Za-z0-9+/]+={0,2}"  # noqa: S105
KUBESEC_TOKEN = r"(?:[A-Za-z0-9+/]+={0,2}\.){1,2}[A-Za-z0-9+/]+={0,2}"  # noqa: S105
KUBESEC_VERSION = "\n# kubesec:v:"
"""A file is sealed by kubesec where this stands in it: a line, but not the first (design FORMAT)."""

_MEMBERS = {"version", "sealedFor", "created", "keys", "seal"}


class Envelope(NamedTuple):
    """A *ksecret v1* envelope as it stands, nothing of it checked."""

    sealed_for: str
    created: str
    keys: dict[str, Scalar]
    """KeyRef → the scalar that holds the wrapped DEK."""
    seal: Scalar
    mapping: Mapping


def envelope_of(secret: Secret) -> Envelope | None:
    """The Secret's envelope; None where it has none, or one that is not of this form."""
    mapping = secret.envelope.value if secret.envelope else None
    if not isinstance(mapping, Mapping):
        return None
    found = {key.value: value for key, value in mapping.members if isinstance(key, Scalar)}
    keys = nodes.value(mapping, "keys")
    sealed_for, created, seal = found.get("sealedFor"), found.get("created"), found.get("seal")
    if (
        set(found) == _MEMBERS
        and isinstance(keys, Mapping)
        and isinstance(sealed_for, Scalar)
        and isinstance(created, Scalar)
        and isinstance(seal, Scalar)
    ):
        wrapped = {
            key.value: value for key, value in keys.members if isinstance(key, Scalar) and isinstance(value, Scalar)
        }
        return Envelope(sealed_for.value, created.value, wrapped, seal, mapping)
    return None


def is_token(value: str, *, kubesec: bool) -> bool:
    """Whether a value is a token of that format, by its looks."""
    return bool(re.fullmatch(KUBESEC_TOKEN if kubesec else TOKEN, value.rstrip("\n")))
