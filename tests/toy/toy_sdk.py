"""Stands for a vendor's SDK, which takes long to import."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping

LENGTH = 12 + 32 + 16
"""Bytes: nonce, DEK, tag."""


def key(token: str, name: str) -> bytes:
    return sha256(f"{token} {name}".encode()).digest()


def seal(kek: bytes, dek: bytes, context: Mapping[str, str]) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(kek).encrypt(nonce, dek, _data(context))


def opened(kek: bytes, wrapped: bytes, context: Mapping[str, str]) -> bytes | None:
    try:
        return AESGCM(kek).decrypt(wrapped[:12], wrapped[12:], _data(context))
    except (InvalidTag, ValueError):
        return None


def _data(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context), sort_keys=True).encode()
