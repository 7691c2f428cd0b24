"""The keys of the Cloud KMS emulator: versions, their states, who may use them, and real AES-256-GCM.

Behaviour and texts follow the Cloud KMS API reference and what the service is known to answer.
"""

from __future__ import annotations

import os
import struct
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from grpc import StatusCode

ANY = "*"

_HEADER = struct.Struct(">3s8sI")  # magic, the key's mark, the version's number
_MAGIC = b"\x0aEM"


class KmsError(Exception):
    """What the service answers instead of a result; `reason` goes into a google.rpc.ErrorInfo."""

    def __init__(self, code: StatusCode, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.reason = reason


class Key:
    """A CryptoKey. States and purposes are words of the API: ENABLED, DISABLED, DESTROY_SCHEDULED, DESTROYED, …"""

    def __init__(self, name: str, purpose: str = "ENCRYPT_DECRYPT") -> None:
        self.name = name
        self.purpose = purpose
        self.primary = 0
        self.states: dict[int, str] = {}
        self._material: dict[int, AESGCM] = {}
        self.add_version(primary=True)

    def add_version(self, *, primary: bool = True) -> int:
        """A new enabled version, made the primary one as `gcloud kms keys versions create --primary` does."""
        number = len(self.states) + 1
        self._material[number] = AESGCM(os.urandom(32))
        self.states[number] = "ENABLED"
        if primary:
            self.primary = number
        return number

    def set_state(self, number: int, state: str) -> None:
        """DESTROYED takes the material with it."""
        self.states[number] = state
        if state == "DESTROYED":
            del self._material[number]

    def encrypt(self, plaintext: bytes, aad: bytes) -> tuple[str, bytes]:
        """By the primary version: (the version's name, ciphertext)."""
        aead, nonce = self._usable(self.primary), os.urandom(12)
        header = _HEADER.pack(_MAGIC, self._mark(), self.primary)
        return self.version_name(self.primary), header + nonce + aead.encrypt(nonce, plaintext, header + aad)

    def decrypt(self, ciphertext: bytes, aad: bytes) -> tuple[int, bytes]:
        """By the version that the ciphertext names: (its number, plaintext)."""
        header, nonce, sealed = ciphertext[: _HEADER.size], ciphertext[_HEADER.size :][:12], ciphertext[27:]
        magic, mark, number = _HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
        if magic != _MAGIC or mark != self._mark() or number not in self.states:
            raise KmsError(
                StatusCode.INVALID_ARGUMENT, "Decryption failed: verify that 'name' refers to the correct CryptoKey."
            )
        aead = self._usable(number)
        try:
            return number, aead.decrypt(nonce, sealed, header + aad)
        except (InvalidTag, ValueError):
            raise KmsError(StatusCode.INVALID_ARGUMENT, "Decryption failed: the ciphertext is invalid.") from None

    def version_name(self, number: int) -> str:
        return f"{self.name}/cryptoKeyVersions/{number}"

    def _mark(self) -> bytes:
        return sha256(self.name.encode()).digest()[:8]

    def _usable(self, number: int) -> AESGCM:
        if self.purpose != "ENCRYPT_DECRYPT":
            text = f"{self.name} has purpose {self.purpose}, which does not support this operation."
            raise KmsError(StatusCode.FAILED_PRECONDITION, text)
        if self.states[number] != "ENABLED":
            text = f"{self.version_name(number)} is not enabled, current state is: {self.states[number]}."
            raise KmsError(StatusCode.FAILED_PRECONDITION, text)
        return self._material[number]


class KeyStore:
    """All keys, who is denied what, and which project numbers stand for which ids."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.project_ids: dict[str, str] = {}
        self.locations: set[str] = set()
        """The locations that this endpoint serves; empty for all."""
        self._denied: set[tuple[str, str, str]] = set()

    def create(self, name: str, purpose: str = "ENCRYPT_DECRYPT") -> Key:
        self.keys[name] = Key(name, purpose)
        return self.keys[name]

    def deny(self, *, principal: str = ANY, operation: str = ANY, key: str = ANY) -> None:
        """`operation`: Encrypt or Decrypt."""
        self._denied.add((principal, operation, key))

    def allow_all(self) -> None:
        self._denied.clear()

    def find(self, name: str, operation: str, principal: str) -> Key:
        """The key, where that principal may use it so. Raises KmsError."""
        _, project, _, location, *_ = [*name.split("/"), "", "", "", ""]
        if self.locations and location not in self.locations:
            text = f"The request concerns location '{location}' but was sent to location 'global'."
            raise KmsError(StatusCode.NOT_FOUND, f"{text} Either Cloud KMS is not available in '{location}' or …")
        if project in self.project_ids:
            name = name.replace(f"projects/{project}/", f"projects/{self.project_ids[project]}/", 1)
        for denied in self._denied:
            if all(mine in (ANY, its) for mine, its in zip(denied, (principal, operation, name), strict=True)):
                permission = f"cloudkms.cryptoKeyVersions.useTo{operation}"
                text = f"Permission '{permission}' denied on resource '{name}' (or it may not exist)."
                raise KmsError(StatusCode.PERMISSION_DENIED, text, "IAM_PERMISSION_DENIED")
        if name not in self.keys:
            raise KmsError(StatusCode.NOT_FOUND, f"CryptoKey {name} not found.")
        return self.keys[name]
