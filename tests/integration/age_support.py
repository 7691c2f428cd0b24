"""What the tests of age share: identities and keys made anew, and somebody who is asked for passphrases."""

from __future__ import annotations

import os
import shutil
import subprocess
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from secretsvc.backends.age import SCHEME
from secretsvc.backends.age.backend import Age
from secretsvc.backends.base import Settings
from secretsvc.keyref import KeyRef

if TYPE_CHECKING:
    from pathlib import Path

DEK = bytes(range(32))
PASSPHRASE = "open sesame ü"


class Asked:
    """Somebody who knows a passphrase, or does not, and counts how often they are asked."""

    def __init__(self, answer: str | None) -> None:
        self.answer = answer
        self.questions: list[str] = []

    def __call__(self, what: str) -> bytes | None:
        self.questions.append(what)
        return None if self.answer is None else self.answer.encode()


def age(passphrase: Asked | None = None, *, named_only: bool = False, watches: bool = True, **environ: Any) -> Age:
    variables = {"XDG_CONFIG_HOME": os.devnull, "HOME": os.devnull} | {one: str(text) for one, text in environ.items()}
    return Age(Settings(variables, passphrase or Asked(None), named_only=named_only, watches=watches))


def parsed(text: str) -> KeyRef:
    """What a person may write, as the registry takes it."""
    ref = SCHEME.parse(text)
    SCHEME.verify(ref)
    return ref


def x25519() -> tuple[str, KeyRef]:
    made = pyrage.x25519.Identity.generate()
    return str(made), KeyRef("age", str(made.to_public()))


def ssh_key(path: Path, kind: str, passphrase: str = "") -> str:
    """Makes a private key file; gives the public key's line."""
    if shutil.which("ssh-keygen"):
        bits = ["-b", "2048"] if kind == "rsa" else []
        words = ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", "me@example.com", "-f", str(path)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        return path.with_suffix(".pub").read_text()
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)
    lock = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, lock))
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return public.decode() + " me@example.com\n"


def locked(data: bytes, passphrase: str = PASSPHRASE) -> bytes:
    """An age file behind a passphrase (age-encryption.org/v1, scrypt), with a work factor of milliseconds."""

    def derived(salt: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, info).derive(file_key)

    def unpadded(raw: bytes) -> bytes:
        return b64encode(raw).rstrip(b"=")

    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    wrapping = Scrypt(b"age-encryption.org/v1/scrypt" + salt, 32, 2**4, 8, 1).derive(passphrase.encode())
    body = unpadded(ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, b""))
    header = b"age-encryption.org/v1\n-> scrypt " + unpadded(salt) + b" 4\n" + body + b"\n---"
    mac = HMAC(derived(b"", b"header"), SHA256())
    mac.update(header)
    payload = ChaCha20Poly1305(derived(nonce, b"payload")).encrypt(bytes(11) + b"\x01", data, b"")
    return header + b" " + unpadded(mac.finalize()) + b"\n" + nonce + payload


def locked_identity(path: Path) -> KeyRef:
    identity, ref = x25519()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(locked(f"{identity}\n".encode()))
    return ref
