"""The keys of the Vault emulator: types, versions, associated data, with real AES-GCM, ChaCha20-Poly1305 and RSA-OAEP.

Behaviour and texts are those of Vault 1.21's own source: builtin/logical/transit and sdk/helper/keysutil/policy.go.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

if TYPE_CHECKING:
    from collections.abc import Mapping

AEAD = {"aes128-gcm96": (AESGCM, 16), "aes256-gcm96": (AESGCM, 32), "chacha20-poly1305": (ChaCha20Poly1305, 32)}
RSA = {"rsa-2048": 2048, "rsa-4096": 4096}
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class VaultError(Exception):
    """An answer that is an error: its status, and its text."""

    def __init__(self, status: int, text: str = "", location: str = "") -> None:
        super().__init__(text)
        self.status, self.text, self.location = status, text, location


class Key:
    """A key of Transit."""

    def __init__(self, type_: str = "aes256-gcm96", *, derived: bool = False) -> None:
        self.type = type_
        self.derived = derived
        self.versions: dict[int, Any] = {}
        self.config = {"min_decryption_version": 1, "min_encryption_version": 0, "deletion_allowed": False}
        self.rotate()

    @property
    def latest(self) -> int:
        return max(self.versions)

    def rotate(self) -> None:
        number = len(self.versions) + 1
        if self.type in AEAD:
            cipher, length = AEAD[self.type]
            self.versions[number] = cipher(os.urandom(length))
        elif self.type in RSA:
            self.versions[number] = rsa.generate_private_key(65537, RSA[self.type])
        else:
            self.versions[number] = None

    def told(self, name: str) -> dict[str, Any]:
        """As the key is read."""
        encrypts = self.type in AEAD or self.type in RSA
        return {
            **self.config,
            "name": name,
            "type": self.type,
            "derived": self.derived,
            "keys": dict.fromkeys(map(str, self.versions), 1),
            "latest_version": self.latest,
            "supports_encryption": encrypts,
            "supports_decryption": encrypts,
        }

    def encrypt(self, asked: Mapping[str, Any]) -> str:
        data, plain = self._associated(asked), b64decode(asked["plaintext"])
        self._check_derived(asked)
        material = self._material(self.latest, "encryption")
        if self.type in RSA:
            sealed = material.public_key().encrypt(plain, _OAEP)
        else:
            nonce = os.urandom(12)
            sealed = nonce + material.encrypt(nonce, plain, data)
        return f"vault:v{self.latest}:{b64encode(sealed).decode()}"

    def decrypt(self, asked: Mapping[str, Any]) -> bytes:
        data, text = self._associated(asked), asked["ciphertext"]
        if not text:
            raise VaultError(400, "missing ciphertext to decrypt")
        number, sealed = self._parsed(text)
        self._check_derived(asked)
        material = self._material(number, "decryption")
        if self.type in RSA:
            try:
                return bytes(material.decrypt(sealed, _OAEP))
            except ValueError:
                text = "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error"
                raise VaultError(500, f"1 error occurred:\n\t* {text}\n\n") from None
        if len(sealed) < 12:
            raise VaultError(400, "invalid ciphertext length")
        try:
            return bytes(material.decrypt(sealed[:12], sealed[12:], data))
        except (InvalidTag, ValueError):
            raise VaultError(400, "cipher: message authentication failed") from None

    def _parsed(self, text: str) -> tuple[int, bytes]:
        if not text.startswith("vault:v"):
            raise VaultError(400, "invalid ciphertext: no prefix")
        version, colon, encoded = text.removeprefix("vault:v").partition(":")
        if not colon:
            raise VaultError(400, "invalid ciphertext: wrong number of fields")
        if not version.isdecimal():
            raise VaultError(400, "invalid ciphertext: version number could not be decoded")
        number = int(version) or 1
        if number > self.latest:
            raise VaultError(400, "invalid ciphertext: version is too new")
        if number < self.config["min_decryption_version"]:
            raise VaultError(400, "ciphertext or signature version is disallowed by policy (too old)")
        try:
            return number, b64decode(encoded, validate=True)
        except ValueError:
            raise VaultError(400, "invalid ciphertext: could not decode base64") from None

    def _material(self, number: int, what: str) -> Any:
        if self.type not in AEAD and self.type not in RSA:
            raise VaultError(400, f"message {what} not supported for key type {self.type}")
        return self.versions[number]

    def _associated(self, asked: Mapping[str, Any]) -> bytes | None:
        if not asked.get("associated_data"):
            return None
        if self.type not in AEAD:
            raise VaultError(400, f"'[0].associated_data' provided for non-AEAD cipher suite {self.type}")
        return b64decode(asked["associated_data"])

    def _check_derived(self, asked: Mapping[str, Any]) -> None:
        if self.derived and not asked.get("context"):
            raise VaultError(400, "missing 'context' for key derivation; the key was created using a derived key, …")
