"""basic-auth, ssh-auth, service-account-token, bootstrap-token, and random values."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from secretsvc.errors import InputError, UsageError
from secretsvc.generators.fixed_keys import (
    Bootstrap,
    basic_auth,
    bootstrap_token,
    service_account_annotations,
    ssh_auth,
)
from secretsvc.generators.generic import Sources, generic
from tests.integration.tls_support import pem


def test_basic_auth() -> None:
    assert basic_auth(b"me", b"\xff") == {"username": b"me", "password": b"\xff"}
    assert basic_auth(b"", b"p") == {"password": b"p"}
    with pytest.raises(UsageError, match="--username or --password is required"):
        basic_auth(b"", b"")


KEYS = [
    ed25519.Ed25519PrivateKey.generate(),
    ec.generate_private_key(ec.SECP256R1()),
    rsa.generate_private_key(65537, 2048),
]
FORMS = [PrivateFormat.OpenSSH, PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "ec", "rsa"])
def test_ssh_keys_of_every_kind(key: ed25519.Ed25519PrivateKey, form: PrivateFormat) -> None:
    if form is PrivateFormat.TraditionalOpenSSL and isinstance(key, ed25519.Ed25519PrivateKey):
        return  # there is no such form
    text = key.private_bytes(Encoding.PEM, form, NoEncryption())
    assert ssh_auth(text, pytest.fail) == {"ssh-privatekey": text}
    heard: list[str] = []
    locked = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"x"))
    assert ssh_auth(locked.rstrip(b"\n"), heard.append)
    assert "protected by a passphrase" in heard[0]
    assert "no line break at the end" in heard[1]


@pytest.mark.parametrize("cipher", [b"aes256-ctr", b"aes128-cbc", b"3des-cbc", b"chacha20-poly1305@openssh.com"])
def test_a_passphrase_under_any_of_opensshs_ciphers_is_told(cipher: bytes) -> None:
    """`ssh-keygen -Z CIPHER`; cryptography knows few of them, and no passphrase is asked for."""
    text = KEYS[0].private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"x"))
    body = b64decode(b"".join(text.splitlines()[1:-1]))
    named = body.replace(b"\0\0\0\x0aaes256-ctr", len(cipher).to_bytes(4) + cipher, 1)
    key = pem("OPENSSH PRIVATE KEY", named)
    heard: list[str] = []
    assert ssh_auth(key, heard.append) == {"ssh-privatekey": key}
    assert heard == ["--ssh-privatekey: the key is protected by a passphrase, which Kubernetes has no place for"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "ec", "rsa"])
def test_a_damaged_key_is_not_taken_for_a_protected_one(key: ed25519.Ed25519PrivateKey, form: PrivateFormat) -> None:
    if form is PrivateFormat.TraditionalOpenSSL and isinstance(key, ed25519.Ed25519PrivateKey):
        return  # there is no such form
    lines = key.private_bytes(Encoding.PEM, form, NoEncryption()).splitlines(keepends=True)
    label = lines[0].decode().removeprefix("-----BEGIN ").rstrip("-\n")
    body = b64decode(b"".join(lines[1:-1]))
    for damaged in (body[: len(body) // 2], body[4:], b"\0" * len(body), b""):
        with pytest.raises(InputError, match="--ssh-privatekey: not an SSH private key, or damaged"):
            ssh_auth(pem(label, damaged), pytest.fail)


def test_what_is_no_ssh_private_key() -> None:
    public = KEYS[0].public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    with pytest.raises(InputError, match="--ssh-privatekey: not an SSH private key") as caught:
        ssh_auth(public, pytest.fail, "id.pub")
    assert (caught.value.file, "without .pub" in caught.value.hint) == ("id.pub", True)
    text = KEYS[0].private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    with pytest.raises(InputError, match="--ssh-privatekey: not an SSH private key"):
        ssh_auth(text.replace(b"AAAA", b"AAAB", 1), pytest.fail)
    with pytest.raises(InputError, match="--ssh-privatekey: not an SSH private key"):
        ssh_auth(b"", pytest.fail)


def test_service_account() -> None:
    assert service_account_annotations("ci") == {"kubernetes.io/service-account.name": "ci"}
    with pytest.raises(UsageError, match="--service-account is required"):
        service_account_annotations("")


def test_bootstrap_token() -> None:
    when = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    wanted = Bootstrap(
        "bootstrap-token-abc123", b"0123456789abcdef", when, ("signing",), ("system:bootstrappers:ci",), "for ci"
    )
    assert bootstrap_token(wanted) == {
        "token-id": b"abc123",
        "token-secret": b"0123456789abcdef",
        "usage-bootstrap-signing": b"true",
        "expiration": b"2026-03-01T12:00:00Z",
        "auth-extra-groups": b"system:bootstrappers:ci",
        "description": b"for ci",
    }
    made = bootstrap_token(Bootstrap("bootstrap-token-abc123"))
    assert set(made) == {"token-id", "token-secret", "usage-bootstrap-authentication", "usage-bootstrap-signing"}
    assert re.fullmatch(rb"[a-z0-9]{16}", made["token-secret"])
    assert made["token-secret"] != bootstrap_token(Bootstrap("bootstrap-token-abc123"))["token-secret"]
    assert "0123456789abcdef" not in repr(wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Bootstrap("abc123"), "NAME must be bootstrap-token-"),
        (Bootstrap("bootstrap-token-ABC123"), "NAME must be bootstrap-token-"),
        (Bootstrap("bootstrap-token-abc123", b"hunter2"), "--token-secret: it must be sixteen"),
        (Bootstrap("bootstrap-token-abc123", usages=("login",)), "--usages: choose from authentication, signing"),
        (Bootstrap("bootstrap-token-abc123", usages=()), "--usages: choose from"),
        (Bootstrap("bootstrap-token-abc123", groups=("admins",)), "--groups: each must be system:bootstrappers:NAME"),
    ],
)
def test_bootstrap_tokens_that_kubernetes_would_not_take(wanted: Bootstrap, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        bootstrap_token(wanted)
    assert "hunter2" not in caught.value.message


def test_random_values() -> None:
    made = generic(Sources(random=["a=16", "b=32"]), {}, pytest.fail)
    again = generic(Sources(random=["a=16", "b=32"]), {}, pytest.fail)
    assert {key: len(value) for key, value in made.items()} == {"a": 16, "b": 32}
    assert made["b"] != again["b"]
    assert re.fullmatch(rb"[A-Za-z0-9]+", made["b"])


@pytest.mark.parametrize(
    "word", ["a", "a=", "=32", "a=0", "a=9:emoji", "a=65537", "a=x", "a=-32", "a=3\u0662", "a=1e2"]
)
def test_random_values_of_no_length(word: str) -> None:
    with pytest.raises(UsageError, match="--random: expected KEY=LENGTH, up to 65536"):
        generic(Sources(random=[word]), {}, pytest.fail)
