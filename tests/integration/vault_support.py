"""What the tests of the Vault backend share: the emulator, a backend that calls it, and how failures are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from secretsvc.backends.base import Settings
from secretsvc.backends.vault.backend import Vault
from secretsvc.errors import KsecretError
from secretsvc.keyref import KeyRef
from tests.emulators import vault

if TYPE_CHECKING:
    from collections.abc import Iterator

DEK = bytes(range(32))
CONTEXT = {"ksecret-namespace": "prod", "ksecret-name": "db"}


class Pki(NamedTuple):
    """Files of localhost's certificate, which vouches for itself, and of its key."""

    certificate: str
    key: str


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    usage = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .sign(private, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("pki")
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for file, data in (("cert.pem", certificate.public_bytes(Encoding.PEM)), ("key.pem", private.private_bytes(*form))):
        (folder / file).write_bytes(data)
    return Pki(str(folder / "cert.pem"), str(folder / "key.pem"))


@pytest.fixture
def emulator() -> Iterator[vault.Emulator]:
    with vault.Emulator() as server:
        server.create_key("key")
        yield server


def made(server: vault.Emulator | str, *, patience: float = 1.5, **environ: str) -> Vault:
    """A backend of a run, with the emulator's root token where nothing else is said."""
    url = server if isinstance(server, str) else server.url
    given = {"VAULT_ADDR": url, "HOME": "/dev/null", **(environ or {"VAULT_TOKEN": vault.ROOT})}
    return Vault(Settings(given, lambda what: None), patience=patience)


def ref(server: vault.Emulator | str, name: str = "key", mount: str = "transit") -> KeyRef:
    return KeyRef("vault", f"{server if isinstance(server, str) else server.url}/v1/{mount}/keys/{name}")


def failure(work: Any, *arguments: Any) -> KsecretError:
    with pytest.raises(KsecretError, match=r"\w") as caught:
        work(*arguments)
    said = caught.value.message + caught.value.hint
    assert vault.SECRET_TEXT not in said
    assert vault.ROOT not in said
    return caught.value


def says(error: KsecretError, kind: type[KsecretError], message: str, hint: str = "") -> None:
    assert type(error) is kind
    assert re.search(message, error.message), error.message
    assert re.search(hint, error.hint), error.hint
