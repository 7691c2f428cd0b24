"""The Cloud KMS backend in processes of its own: what is imported, and credentials, which come from the environment."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.emulators import gcp
from tests.emulators.gcp_tokens import ACCOUNT, TokenService
from tests.integration.gcp_support import DEK, REF, ROOT, kms
from tests.support import quiet_port

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["kms"]  # fixtures, for pytest to find here

_CALL = """
import json, os, sys
from secretsvc.backends.base import Settings
from secretsvc.backends.gcp_kms import SCHEME
from secretsvc.backends.gcp_kms.backend import GcpKms
from secretsvc.errors import KsecretError
sys.modules.update(dict.fromkeys(json.loads(sys.argv[2])))
kms = GcpKms(Settings(os.environ, lambda what: None), patience=float(os.environ.get("TEST_PATIENCE", "10")))
try:
    ref = SCHEME.parse(sys.argv[1])
    wrapped = kms.wrap(ref, bytes(range(32)), {"ksecret-name": "n"})
    print(json.dumps({"dek": kms.unwrap(ref, wrapped, {"ksecret-name": "n"}).hex()}))
except KsecretError as error:
    print(json.dumps({"kind": type(error).__name__, "message": error.message, "hint": error.hint}))
"""


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    base = {"PATH": os.environ["PATH"], "HOME": os.devnull, "NO_GCE_CHECK": "true", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=base | environ, capture_output=True, text=True, timeout=60
    )


def call(endpoint: str, *blocked: str, **environ: str) -> dict[str, str]:
    """One wrap and unwrap in a process of its own, which prints nothing but its result."""
    done = run("-c", _CALL, REF.id, json.dumps(blocked), KSECRET_GCP_KMS_ENDPOINT=endpoint, **environ)
    assert done.stderr == ""
    assert "SDK-TEXT" not in done.stdout
    result: dict[str, str] = json.loads(done.stdout)
    return result


def fails(result: dict[str, str], kind: str, message: str, hint: str) -> None:
    assert result.get("kind") == kind, result
    assert message in result["message"]
    assert hint in result["hint"]


def test_importing_making_and_parsing_import_no_sdk() -> None:
    code = f"""
import sys
from secretsvc.backends import gcp_kms
from secretsvc.backends.base import Settings
gcp_kms.SCHEME.backend(Settings({{}}, lambda what: None))
gcp_kms.SCHEME.parse({REF.id!r})
print([name for name in sys.modules if name.split(".")[0] in ("google", "grpc", "google_crc32c", "requests")])
"""
    assert run("-c", code).stdout == "[]\n"


@pytest.mark.parametrize("missing", ["google.cloud.kms_v1", "google.cloud", "grpc", "google_crc32c"])
def test_without_the_library(kms: gcp.Emulator, missing: str) -> None:
    result = call(kms.endpoint, missing)
    fails(result, "BackendUnavailableError", "the library for Google Cloud KMS is not installed", "'secretsvc[gcp]'")


@pytest.fixture
def tokens() -> Iterator[TokenService]:
    with TokenService() as service:
        yield service


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, str]:
    """(key, certificate) of localhost, and the certificate's file for clients to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path = tmp_path_factory.mktemp("pki") / "roots.pem"
    path.write_bytes(pem)
    return _pem(key), pem, str(path)


def _pem(key: Any) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


@pytest.fixture
def secure(pki: tuple[bytes, bytes, str]) -> Iterator[gcp.Emulator]:
    """The emulator with TLS, as Cloud KMS has it; it serves no anonymous caller."""
    with gcp.Emulator(tls=pki[:2]) as emulator:
        emulator.create_key(REF.id)
        emulator.keys.deny(principal="anonymous")
        yield emulator


@pytest.fixture
def robot(tmp_path: Path) -> str:
    """A service account's key file. Its token endpoint is not needed: it signs its tokens itself."""
    content = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": _pem(rsa.generate_private_key(65537, 2048)).decode(),
        "client_email": ACCOUNT,
        "token_uri": "http://127.0.0.1:9/unused",
    }
    path = tmp_path / "robot.json"
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def federation(tmp_path: Path, tokens: TokenService) -> tuple[str, str]:
    """Workload identity federation: without and with impersonation of a service account."""
    subject = tmp_path / "subject"
    subject.write_text("workload")
    paths = (tmp_path / "federated.json", tmp_path / "impersonated.json")
    for path, impersonate in zip(paths, (False, True), strict=True):
        path.write_text(tokens.federation_file(str(subject), impersonate=impersonate))
    return str(paths[0]), str(paths[1])


@pytest.mark.parametrize("form", ["https://localhost:{}", "localhost:{}"])
def test_tls_with_a_service_accounts_key(secure: gcp.Emulator, pki: Any, robot: str, form: str) -> None:
    environ = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": pki[2], "GOOGLE_APPLICATION_CREDENTIALS": robot}
    assert call(form.format(secure.port), **environ) == {"dek": DEK.hex()}
    assert secure.principals == {ACCOUNT}


def test_the_universe_is_the_credentials_own(robot: str, tmp_path: Path) -> None:
    """As in Google's sovereign clouds, whose Cloud KMS has a host of another domain."""
    path = tmp_path / "sovereign.json"
    path.write_text(json.dumps(json.loads(Path(robot).read_text()) | {"universe_domain": "apis.invalid"}))
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "TEST_PATIENCE": "1"}
    for more in ({}, {"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "apis.invalid"}):
        failed = call("", **environ, **more)
        fails(failed, "BackendUnavailableError", "Cloud KMS at cloudkms.apis.invalid:443 can't be reached", "")
    other = call("", **environ, GOOGLE_CLOUD_UNIVERSE_DOMAIN="googleapis.com")
    fails(other, "BackendError", "credentials are of another universe", "unset it")


def test_a_private_endpoint_serves_another_universe(secure: gcp.Emulator, pki: Any, robot: str, tmp_path: Path) -> None:
    path = tmp_path / "sovereign.json"
    path.write_text(json.dumps(json.loads(Path(robot).read_text()) | {"universe_domain": "apis.invalid"}))
    environ = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": pki[2], "GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    assert call(f"localhost:{secure.port}", **environ) == {"dek": DEK.hex()}


def test_a_quota_project_is_sent_along(secure: gcp.Emulator, pki: Any, robot: str) -> None:
    environ = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": pki[2], "GOOGLE_APPLICATION_CREDENTIALS": robot}
    assert call(f"localhost:{secure.port}", GOOGLE_CLOUD_QUOTA_PROJECT="billed", **environ) == {"dek": DEK.hex()}
    assert secure.metadata["x-goog-user-project"] == "billed"


def test_workload_identity_federation(
    secure: gcp.Emulator, pki: Any, tokens: TokenService, federation: tuple[str, str]
) -> None:
    trust, endpoint = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": pki[2]}, f"https://localhost:{secure.port}"
    assert call(endpoint, GOOGLE_APPLICATION_CREDENTIALS=federation[0], **trust) == {"dek": DEK.hex()}
    assert call(endpoint, GOOGLE_APPLICATION_CREDENTIALS=federation[1], **trust) == {"dek": DEK.hex()}
    assert secure.principals == {"federated-workload", f"impersonated-{ACCOUNT}"}
    tokens.refuse_after = 0
    refused = call(endpoint, GOOGLE_APPLICATION_CREDENTIALS=federation[1], **trust)
    fails(refused, "BackendError", "credentials were refused", "roles/iam.serviceAccountTokenCreator")


def test_federation_without_the_token_that_it_starts_from(secure: gcp.Emulator, federation: tuple[str, str]) -> None:
    (Path(federation[0]).parent / "subject").unlink()
    result = call(f"https://localhost:{secure.port}", GOOGLE_APPLICATION_CREDENTIALS=federation[0])
    fails(result, "BackendError", "refused, or could not be renewed", "what its credential_source names must be there")
    assert not secure.calls


def test_a_token_that_ends_while_grpc_asks_for_the_next(
    secure: gcp.Emulator, pki: Any, tokens: TokenService, federation: tuple[str, str]
) -> None:
    tokens.lifetime, tokens.refuse_after = 100, 1  # too short a life for the library, which asks again on its own
    environ = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": pki[2], "GOOGLE_APPLICATION_CREDENTIALS": federation[0]}
    result = call(f"https://localhost:{secure.port}", **environ)
    fails(result, "BackendError", "does not accept the Google Cloud credentials", "renew the file of credentials")
    assert len(tokens.asked) == 2
    assert not secure.calls


def test_the_token_service_is_away(secure: gcp.Emulator, federation: tuple[str, str], tokens: TokenService) -> None:
    path = Path(federation[0])
    with quiet_port() as port:
        path.write_text(path.read_text().replace(tokens.host, f"127.0.0.1:{port}"))
        result = call(f"https://localhost:{secure.port}", GOOGLE_APPLICATION_CREDENTIALS=str(path))
    fails(result, "BackendUnavailableError", "access tokens can't be reached", "another host than Cloud KMS")
    assert not secure.calls


def test_the_metadata_server(secure: gcp.Emulator, pki: Any, tokens: TokenService) -> None:
    environ = {"NO_GCE_CHECK": "", "GCE_METADATA_HOST": tokens.host, "GCE_METADATA_IP": tokens.host}
    trust = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": pki[2]}
    assert call(f"https://localhost:{secure.port}", **environ, **trust) == {"dek": DEK.hex()}
    assert secure.principals == {"metadata"}


def test_credentials_that_are_missing_or_broken(secure: gcp.Emulator, robot: str, tmp_path: Path) -> None:
    endpoint = f"https://localhost:{secure.port}"
    fails(call(endpoint), "BackendError", "there are no Google Cloud credentials here", "application-default login")
    broken = tmp_path / "broken.json"
    broken.write_text("SDK-TEXT")
    for path in (str(broken), str(tmp_path / "missing.json")):
        result = call(endpoint, GOOGLE_APPLICATION_CREDENTIALS=path)
        fails(result, "BackendError", "credentials here can't be used", "GOOGLE_APPLICATION_CREDENTIALS")
    result = call(endpoint, GOOGLE_APPLICATION_CREDENTIALS=robot, GOOGLE_API_USE_MTLS_ENDPOINT="SDK-TEXT")
    fails(result, "BackendError", "credentials here can't be used", "GOOGLE_API_USE_MTLS_ENDPOINT")
    assert not secure.calls


def test_a_certificate_that_nobody_vouches_for(secure: gcp.Emulator, robot: str) -> None:
    result = call(f"localhost:{secure.port}", GOOGLE_APPLICATION_CREDENTIALS=robot, TEST_PATIENCE="0.5")
    fails(result, "BackendUnavailableError", "TLS certificate can't be verified", "check the network")
    assert not secure.calls


def test_tls_never_falls_back_to_clear_text(kms: gcp.Emulator, robot: str) -> None:
    result = call(f"127.0.0.1:{kms.port}", GOOGLE_APPLICATION_CREDENTIALS=robot, TEST_PATIENCE="0.5")
    fails(result, "BackendUnavailableError", "the TLS handshake failed", "check the network")
    assert not kms.calls


def test_clear_text_goes_without_credentials(kms: gcp.Emulator, robot: str) -> None:
    assert call(kms.endpoint, GOOGLE_APPLICATION_CREDENTIALS=robot) == {"dek": DEK.hex()}
    assert kms.principals == {"anonymous"}
    assert "authorization" not in kms.metadata


def test_the_librarys_debug_log_shows_no_dek(kms: gcp.Emulator) -> None:
    for scope in ("google", "google.cloud.kms_v1.services.key_management_service.transports.grpc"):
        environ = {"KSECRET_GCP_KMS_ENDPOINT": kms.endpoint, "GOOGLE_SDK_PYTHON_LOGGING_SCOPE": scope}
        done = run("-c", _CALL, REF.id, "[]", **environ)
        assert json.loads(done.stdout) == {"dek": DEK.hex()}
        assert base64.b64encode(DEK).decode()[:40] not in done.stderr
        assert "plaintext" not in done.stderr
