"""An issuer's public keys: what is taken from a JWKS, and keys from a file."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jwt import PyJWK
from jwt.exceptions import InvalidKeyError, PyJWKError

from secretsvc.api.transport.watched import Watched
from secretsvc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "OKP": ("EdDSA",),
}
"""By type of key, or by curve (RFC 7518, section 3.1; RFC 8037): one key never serves two families."""


_LOG = logging.getLogger("ksecret")


class Key(NamedTuple):
    """A public key, and the algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


class NoKeyError(Exception):
    """The issuer has no key of that id."""


class Keys(Protocol):
    """The keys of one issuer."""

    async def key(self, kid: str) -> Key:
        """The key of that id; of no id, the only key there is. Raises NoKeyError, and RefusedError (503)."""


class FileKeys:
    """Keys from a file, which may be replaced: while it can't be used, which the log tells once, its last keys stay."""

    def __init__(self, path: str) -> None:
        """Raises InputError for a file that can't be used."""
        self._path = path
        self._file = Watched(path)
        self._keys = _from_file(path)

    async def key(self, kid: str) -> Key:
        """As that of Keys; it never waits."""
        if self._file.changed():
            try:
                self._keys = _from_file(self._path)
            except InputError as error:
                _LOG.error("a changed JWKS is not used: %s: %s", error.where, error)
            else:
                _LOG.info("a changed JWKS is used from now on: %s", self._path)
        found = find(self._keys, kid)
        if found is None:
            raise NoKeyError
        return found


def find(keys: Mapping[str, Key], kid: str) -> Key | None:
    """The key of that id; of no id, the only key there is."""
    return keys.get(kid) if kid or len(keys) != 1 else next(iter(keys.values()))


def _from_file(path: str) -> dict[str, Key]:
    try:
        return parsed(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"the JWKS can't be read: {error.strerror}", file=path) from error
    except ValueError as error:
        raise InputError("not a JWKS with public keys (RFC 7517)", file=path) from error


def parsed(data: bytes) -> dict[str, Key]:
    """The signing keys of a JWKS; kinds that are not known are passed over (RFC 7517, section 5). Raises ValueError."""
    document = json.loads(data)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a JWKS")
    found: dict[str, Key] = {}
    for member in document["keys"]:
        if not isinstance(member, dict) or member.get("use", "sig") != "sig":
            continue
        known = _ALGORITHMS.get(str(member.get("crv" if member.get("kty") == "EC" else "kty")), ())
        allowed = tuple(name for name in known if member.get("alg", name) == name)
        try:
            key = PyJWK.from_dict({name: text for name, text in member.items() if name not in _PRIVATE})
        except (PyJWKError, InvalidKeyError, ValueError, TypeError, KeyError):
            continue
        if allowed:
            found[str(member.get("kid", ""))] = Key(key.key, allowed)
    if not found:
        raise ValueError("no usable key")
    return found


_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
