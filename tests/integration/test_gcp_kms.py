"""The Cloud KMS backend, with Google's real client, against the emulator over the wire. Nothing is mocked."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google_crc32c import value as crc32c
from grpc import StatusCode

from secretsvc.backends import gcp_kms, gcp_kms_client
from secretsvc.backends.base import Settings
from secretsvc.errors import AlteredError, BackendError, BackendUnavailableError, KeyRefError, KsecretError
from secretsvc.keyref import KeyRef
from tests.emulators import gcp
from tests.emulators.gcp_relay import Relay
from tests.emulators.gcp_tokens import ACCOUNT, TokenService

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(gcp_kms.__file__).parents[2]
DEK = bytes(range(32))
CONTEXT = {"ksecret-namespace": "prod", "ksecret-name": "sample-db-auth"}
RING = "projects/p/locations/europe-west1/keyRings/ring"
REF = KeyRef("gcp", f"{RING}/cryptoKeys/key")
ELSEWHERE = KeyRef("gcp", "projects/p/locations/us-east1/keyRings/ring/cryptoKeys/key")
SDK_TEXT = "SDK-TEXT that no user should see"


@pytest.fixture
def kms() -> Iterator[gcp.Emulator]:
    with gcp.Emulator() as emulator:
        emulator.create_key(REF.id)
        emulator.create_key(ELSEWHERE.id)
        yield emulator


@pytest.fixture
def tokens() -> Iterator[TokenService]:
    with TokenService() as service:
        yield service


def made(endpoint: str, **options: float) -> gcp_kms.GcpKms:
    return gcp_kms.GcpKms(Settings({"KSECRET_GCP_KMS_ENDPOINT": endpoint}, lambda what: None), **options)


@pytest.fixture
def backend(kms: gcp.Emulator) -> gcp_kms.GcpKms:
    return made(kms.endpoint, patience=1.5)


def failure(work: Any, *arguments: Any) -> KsecretError:
    with pytest.raises(KsecretError, match=r"\w") as caught:
        work(*arguments)
    assert "SDK-TEXT" not in caught.value.message + caught.value.hint
    return caught.value


def says(error: KsecretError, kind: type[KsecretError], message: str, hint: str = "") -> None:
    assert type(error) is kind
    assert re.search(message, error.message), error.message
    assert re.search(hint, error.hint), error.hint


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# Names of keys


@pytest.mark.parametrize(
    "name",
    [
        REF.id,
        "projects/example.com:old-project/locations/global/keyRings/R_1/cryptoKeys/K-2",
        "projects/123456789012/locations/eur5/keyRings/r/cryptoKeys/k",
    ],
)
def test_a_resource_name_is_canonical(name: str) -> None:
    assert made("").parse(f" {name}\n") == KeyRef("gcp", name)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (f"{REF.id}/cryptoKeyVersions/3", "names one version", "leave off /cryptoKeyVersions/"),
        (f"https://cloudkms.googleapis.com/v1/{REF.id}", "without a host", "KSECRET_GCP_KMS_ENDPOINT chooses"),
        (f"//cloudkms.googleapis.com/{REF.id}", "without a host", "give gcp:projects/PROJECT/"),
        (f"/{REF.id}", "without a slash", "give gcp:projects/PROJECT/"),
        (f"{REF.id}/", "not the resource name", "gcloud kms keys list"),
        (RING, "not the resource name", "give gcp:projects/PROJECT/"),
        (REF.id.replace("keyRings", "keyrings"), "not the resource name", "give gcp:"),
        (f"{RING}/cryptoKeys/{'k' * 64}", "not the resource name", "give gcp:"),
        ("", "not the resource name", "give gcp:"),
    ],
)
def test_other_spellings_are_refused(text: str, message: str, hint: str) -> None:
    says(failure(made("").parse, text), KeyRefError, message, hint)


# Wrapping and unwrapping


def test_a_wrapped_dek_opens_again_with_its_context(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    wrapped = backend.wrap(REF, DEK, CONTEXT)
    assert DEK not in wrapped
    assert backend.unwrap(REF, wrapped, CONTEXT) == DEK
    assert kms.calls == {"Encrypt": 1, "Decrypt": 1}
    assert kms.metadata["x-goog-request-params"] == f"name={REF.id}"  # by which Google routes to the key's location
    assert backend.describe(REF) == ""


@pytest.mark.parametrize(
    "other",
    [{}, {"ksecret-namespace": "prod"}, {**CONTEXT, "ksecret-name": "other"}, {**CONTEXT, "more": ""}],
)
def test_another_context_does_not_open_it(backend: gcp_kms.GcpKms, other: dict[str, str]) -> None:
    error = failure(backend.unwrap, REF, backend.wrap(REF, DEK, CONTEXT), other)
    says(error, AlteredError, "altered, wrapped by another key, or belongs to another Secret", "restore the file")


def test_the_context_is_json_and_none_is_no_bytes(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    expected = b'{"ksecret-name":"sample-db-auth","ksecret-namespace":"prod"}'
    assert gcp_kms.additional_data(CONTEXT) == expected
    key = kms.keys.keys[REF.id]
    assert key.decrypt(backend.wrap(REF, DEK, CONTEXT), expected) == (1, DEK)
    assert key.decrypt(backend.wrap(REF, DEK, {}), b"") == (1, DEK)


def test_altered_foreign_and_misshapen_wrapped_deks_are_refused(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    wrapped = backend.wrap(REF, DEK, CONTEXT)
    for place in (0, 5, len(wrapped) - 1):
        altered = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
        says(failure(backend.unwrap, REF, altered, CONTEXT), AlteredError, "was altered, wrapped by another key")
    says(failure(backend.unwrap, ELSEWHERE, wrapped, CONTEXT), AlteredError, "wrapped by another key")
    for odd in (b"", b"\0" * (gcp_kms.MAX_WRAPPED_BYTES + 1)):
        says(failure(backend.unwrap, REF, odd, CONTEXT), AlteredError, "empty or too long", "restore the file from Git")
    _, short = kms.keys.keys[REF.id].encrypt(b"31 bytes, which are one too few", b"")
    says(failure(backend.unwrap, REF, short, {}), AlteredError, "is not 32 bytes", "restore the file from Git")


def test_rotation(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    key = kms.keys.keys[REF.id]
    old = backend.wrap(REF, DEK, CONTEXT)
    assert key.add_version(primary=False) == 2
    assert key.decrypt(backend.wrap(REF, DEK, CONTEXT), gcp_kms.additional_data(CONTEXT))[0] == 1
    key.primary = 2
    assert backend.unwrap(REF, old, CONTEXT) == DEK
    again = backend.rewrap(REF, old, CONTEXT)
    assert key.decrypt(again, gcp_kms.additional_data(CONTEXT)) == (2, DEK)
    key.set_state(1, "DISABLED")
    assert backend.unwrap(REF, again, CONTEXT) == DEK
    says(failure(backend.unwrap, REF, old, CONTEXT), BackendError, "version that wrapped it is disabled")


def test_check_goes_there_and_back(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    backend.check(REF)
    assert kms.answered == {"Encrypt": 1, "Decrypt": 1}
    kms.keys.deny(operation="Decrypt")
    says(failure(backend.check, REF), BackendError, "useToDecrypt is missing", r"cryptoKeyDecrypter on the key")


# What Cloud KMS refuses


@pytest.mark.parametrize(
    ("state", "message", "hint"),
    [
        ("DISABLED", "is disabled", "versions enable"),
        ("DESTROY_SCHEDULED", "is scheduled for destruction", "versions restore"),
        ("DESTROYED", "was destroyed", "is lost; open it with another key"),
        ("PENDING_GENERATION", "is not ready yet", "wait until"),
    ],
)
def test_states_of_versions(kms: gcp.Emulator, backend: gcp_kms.GcpKms, state: str, message: str, hint: str) -> None:
    name = REF.id + "-DISABLED-DESTROYED-checksum-purpose"  # a name proves nothing
    key, ref = kms.create_key(name), KeyRef("gcp", name)
    wrapped = backend.wrap(ref, DEK, CONTEXT)
    key.set_state(1, state)
    says(failure(backend.wrap, ref, DEK, CONTEXT), BackendError, f"primary version {message}", hint)
    says(failure(backend.unwrap, ref, wrapped, CONTEXT), BackendError, f"that wrapped it {message}", hint)


def test_denied(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    wrapped = backend.wrap(REF, DEK, CONTEXT)
    kms.keys.deny(principal="anonymous", key=REF.id)
    error = failure(backend.wrap, REF, DEK, CONTEXT)
    says(
        error, BackendError, "access is denied: cloudkms.cryptoKeyVersions.useToEncrypt", "roles/cloudkms.cryptoKeyEnc"
    )
    error = failure(backend.unwrap, REF, wrapped, CONTEXT)
    says(
        error, BackendError, "access is denied: cloudkms.cryptoKeyVersions.useToDecrypt", "roles/cloudkms.cryptoKeyDec"
    )
    assert backend.wrap(ELSEWHERE, DEK, CONTEXT)  # that key's own files fail, and no others
    assert kms.calls.total() == 4


def test_no_such_key(backend: gcp_kms.GcpKms) -> None:
    ref = KeyRef("gcp", f"{RING}/cryptoKeys/missing")
    says(
        failure(backend.wrap, ref, DEK, CONTEXT), KeyRefError, "there is no such Cloud KMS key", "gcloud kms keys list"
    )
    says(failure(backend.unwrap, ref, b"x", CONTEXT), BackendError, "there is no such Cloud KMS key", "keys list")


def test_wrong_location(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    kms.keys.locations = {"us-east1"}
    error = failure(backend.wrap, REF, DEK, CONTEXT)
    says(error, BackendError, "endpoint does not serve the location", "unset KSECRET_GCP_KMS_ENDPOINT")


def test_wrong_purpose(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    ref = KeyRef("gcp", f"{RING}/cryptoKeys/signs")
    kms.create_key(ref.id, "ASYMMETRIC_SIGN")
    says(failure(backend.wrap, ref, DEK, CONTEXT), KeyRefError, "not for symmetric encryption", "ENCRYPT_DECRYPT")


@pytest.mark.parametrize(
    ("code", "text", "reason", "message", "hint"),
    [
        ("PERMISSION_DENIED", SDK_TEXT, "SERVICE_DISABLED", "the Cloud KMS API is disabled", "gcloud services enable"),
        ("FAILED_PRECONDITION", "KMS API has not been used in this", "", "the Cloud KMS API is disabled", "enable"),
        ("PERMISSION_DENIED", SDK_TEXT, "BILLING_DISABLED", "billing is disabled", "enable it"),
        ("PERMISSION_DENIED", SDK_TEXT, "SECURITY_POLICY_VIOLATED", "VPC Service Controls", "from inside it"),
        ("PERMISSION_DENIED", SDK_TEXT, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "scopes leave out", "auth/cloudkms"),
        ("UNAUTHENTICATED", SDK_TEXT, "", "does not accept the Google Cloud credentials", "application-default login"),
        ("INVALID_ARGUMENT", SDK_TEXT, "", "refused the call", "check that the key is enabled"),
        ("UNIMPLEMENTED", SDK_TEXT, "", r"Cloud KMS failed \(UNIMPLEMENTED\)", "status.cloud.google.com"),
    ],
)
def test_other_refusals(
    kms: gcp.Emulator, backend: gcp_kms.GcpKms, code: str, text: str, reason: str, message: str, hint: str
) -> None:
    kms.fail(StatusCode[code], text, reason=reason)
    says(failure(backend.wrap, REF, DEK, CONTEXT), BackendError, message, hint)
    assert kms.calls.total() == 1
    assert backend.wrap(REF, DEK, CONTEXT)


# Integrity


@pytest.mark.parametrize("fault", [gcp.UNVERIFIED, gcp.BAD_CHECKSUM, gcp.ALTERED_REQUEST])
def test_an_altered_encrypt_is_tried_once_more(kms: gcp.Emulator, backend: gcp_kms.GcpKms, fault: str) -> None:
    kms.fail(fault)
    assert backend.unwrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT) == DEK
    assert kms.calls["Encrypt"] == 2
    kms.fail(fault, times=2)
    error = failure(backend.wrap, REF, DEK, CONTEXT)
    says(error, BackendError, "the connection altered the request or the answer", "proxy")
    assert kms.calls["Encrypt"] == 4


@pytest.mark.parametrize("fault", [gcp.BAD_CHECKSUM, gcp.ALTERED_REQUEST])
def test_an_altered_decrypt_is_tried_once_more(kms: gcp.Emulator, backend: gcp_kms.GcpKms, fault: str) -> None:
    wrapped = backend.wrap(REF, DEK, CONTEXT)
    kms.fail(fault)
    assert backend.unwrap(REF, wrapped, CONTEXT) == DEK
    kms.fail(fault, times=2)
    error = failure(backend.unwrap, REF, wrapped, CONTEXT)
    says(error, BackendError, "the connection altered the request or the answer", "proxy")
    assert kms.calls["Decrypt"] == 4


def test_an_answer_for_another_key_is_refused(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    kms.fail(gcp.OTHER_KEY)
    says(failure(backend.wrap, REF, DEK, CONTEXT), BackendError, "answered for another key", "KSECRET_GCP_KMS_ENDPOINT")


def test_a_project_named_by_its_number_is_answered_by_its_id(kms: gcp.Emulator, backend: gcp_kms.GcpKms) -> None:
    kms.keys.project_ids["12345"] = "p"
    ref = KeyRef("gcp", REF.id.replace("/p/", "/12345/"))
    assert backend.unwrap(ref, backend.wrap(ref, DEK, CONTEXT), CONTEXT) == DEK


def test_crc32c_is_the_one_of_rfc_3720() -> None:
    assert crc32c(b"\0" * 32) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


# Retries


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED"])
def test_passing_failures_are_tried_again(kms: gcp.Emulator, backend: gcp_kms.GcpKms, code: str) -> None:
    kms.fail(StatusCode[code], SDK_TEXT, times=3)
    assert backend.wrap(REF, DEK, CONTEXT)
    assert kms.calls["Encrypt"] == 4


def test_every_seventh_call_fails_and_every_fifth_is_throttled(kms: gcp.Emulator) -> None:
    backend = made(kms.endpoint)
    wrapped = backend.wrap(REF, DEK, CONTEXT)
    kms.fail_every(7, StatusCode.UNAVAILABLE)
    kms.fail_every(5, StatusCode.RESOURCE_EXHAUSTED)
    kms.latency = 0.002
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: backend.unwrap(REF, wrapped, CONTEXT), range(200)))
    assert results == [DEK] * 200
    assert kms.answered["Decrypt"] == 200
    assert kms.calls["Decrypt"] > 250


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("RESOURCE_EXHAUSTED", "Cloud KMS throttles", "wait a minute, lower --jobs"),
        ("INTERNAL", r"Cloud KMS failed \(INTERNAL\)", "try again"),
        ("ABORTED", r"Cloud KMS failed \(ABORTED\)", "try again"),
    ],
)
def test_what_retries_do_not_cure_fails_alone(kms: gcp.Emulator, code: str, message: str, hint: str) -> None:
    backend = made(kms.endpoint, patience=0.3)
    kms.fail(StatusCode[code], SDK_TEXT, times=100_000)
    says(failure(backend.wrap, REF, DEK, CONTEXT), BackendError, message, hint)
    calls = kms.calls.total()
    assert calls > 2
    failure(backend.wrap, REF, DEK, CONTEXT)
    assert kms.calls.total() > calls + 1  # asked again: nothing was taken as dead


def test_a_location_that_is_down_is_asked_once_a_run(kms: gcp.Emulator) -> None:
    backend = made(kms.endpoint, patience=0.5)
    kms.down.add("europe-west1")
    error = failure(backend.wrap, REF, DEK, CONTEXT)
    says(error, BackendUnavailableError, "can't be reached: the connection failed", "check the network")
    calls = kms.calls.total()
    began = time.monotonic()
    second = failure(backend.unwrap, REF, b"x", CONTEXT)
    assert (second.message, second.hint) == (error.message, error.hint)
    assert second is not error
    assert time.monotonic() - began < 0.1
    assert kms.calls.total() == calls
    assert backend.wrap(ELSEWHERE, DEK, CONTEXT)


def test_one_slow_call_does_not_make_a_living_location_dead(kms: gcp.Emulator) -> None:
    backend = made(kms.endpoint, patience=0.5)
    wrapped = backend.wrap(REF, DEK, CONTEXT)
    stop = threading.Event()

    def keep_calling() -> None:
        while not stop.is_set():
            backend.unwrap(REF, wrapped, CONTEXT)

    other = threading.Thread(target=keep_calling)
    other.start()
    try:
        kms.unavailable.add("Encrypt")
        error = failure(backend.wrap, REF, DEK, CONTEXT)
    finally:
        stop.set()
        other.join()
    says(error, BackendUnavailableError, "can't be reached")
    kms.unavailable.clear()
    assert backend.wrap(REF, DEK, CONTEXT)


def test_a_dropped_connection_is_made_again(kms: gcp.Emulator) -> None:
    with Relay(kms.port) as relay:
        kms.cut = relay.cut
        backend = made(relay.endpoint)
        wrapped = backend.wrap(REF, DEK, CONTEXT)
        kms.fail(gcp.DROP)
        assert backend.unwrap(REF, wrapped, CONTEXT) == DEK
        relay.cut()  # while nothing is under way
        assert backend.unwrap(REF, wrapped, CONTEXT) == DEK
        assert relay.accepted == 3


# Endpoints that don't answer


def test_a_refused_connection_costs_its_bounded_time_once_a_run() -> None:
    assert gcp_kms_client.PATIENCE == 10.0
    backend = made(f"http://127.0.0.1:{free_port()}", patience=4.0)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(lambda _: failure(backend.unwrap, REF, b"x", CONTEXT), range(8)))
    assert 3 < time.monotonic() - began < 7
    for error in errors:
        says(error, BackendUnavailableError, r"at 127\.0\.0\.1:\d+ can't be reached: the connection was refused")
    began = time.monotonic()
    for _ in range(100):
        assert failure(backend.unwrap, REF, b"x", CONTEXT).message == errors[0].message
    assert time.monotonic() - began < 0.5


def test_silence_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, and nobody ever answers
        backend = made(f"http://127.0.0.1:{listener.getsockname()[1]}", patience=1.0)
        began = time.monotonic()
        error = failure(backend.unwrap, REF, b"x", CONTEXT)
        assert time.monotonic() - began < 3
    says(error, BackendUnavailableError, "did not answer in time", "firewalls")


def test_a_slow_answer_times_out(kms: gcp.Emulator) -> None:
    kms.latency = 1.0
    error = failure(made(kms.endpoint, patience=0.4).unwrap, REF, b"x", CONTEXT)
    says(error, BackendUnavailableError, "did not answer in time", "try again")


def test_a_name_that_does_not_exist() -> None:
    error = failure(made("http://kms.invalid:80", patience=0.5).unwrap, REF, b"x", CONTEXT)
    says(error, BackendUnavailableError, "at kms.invalid:80 (can't be reached: its name|did not answer in time)")


# Endpoints and clients


@pytest.mark.parametrize(
    ("text", "host", "plain"),
    [
        ("", "cloudkms.googleapis.com:443", False),
        ("http://127.0.0.1:8085", "127.0.0.1:8085", True),
        ("http://[::1]:8085/", "[::1]:8085", True),
        ("https://kms.example.org", "kms.example.org:443", False),
        ("https://kms.example.org:8443/", "kms.example.org:8443", False),
        ("localhost:8085", "localhost:8085", False),
        ("cloudkms.europe-west1.rep.googleapis.com", "cloudkms.europe-west1.rep.googleapis.com:443", False),
    ],
)
def test_only_http_means_clear_text(text: str, host: str, plain: bool) -> None:
    assert gcp_kms_client.endpoint(text) == (host, plain)


@pytest.mark.parametrize(
    "text", ["http://hunter2", "http://a:hunter2@host:80", "https://host/hunter2", "grpc://hunter2:1", "host:port"]
)
def test_what_is_no_endpoint_is_refused_and_not_shown(text: str) -> None:
    error = failure(made(text).wrap, REF, DEK, CONTEXT)
    says(error, BackendError, "KSECRET_GCP_KMS_ENDPOINT is not an endpoint", "http://HOST:PORT for an emulator")
    assert "hunter2" not in error.message + error.hint


def test_all_threads_share_one_client_and_connection(kms: gcp.Emulator) -> None:
    with Relay(kms.port) as relay:
        backend = made(relay.endpoint)
        gate = threading.Barrier(32)

        def wrap(_: int) -> bytes:
            gate.wait()
            return backend.wrap(REF, DEK, CONTEXT)

        with ThreadPoolExecutor(32) as pool:
            assert len(set(pool.map(wrap, range(32)))) == 32
        assert relay.accepted == 1


def test_64_calls_are_served_at_a_time(kms: gcp.Emulator) -> None:
    backend = made(kms.endpoint)
    wrapped = backend.wrap(REF, DEK, CONTEXT)
    kms.latency = 0.5
    began = time.monotonic()
    with ThreadPoolExecutor(64) as pool:
        assert len(list(pool.map(lambda _: backend.unwrap(REF, wrapped, CONTEXT), range(64)))) == 64
    assert time.monotonic() - began < 1.0


# Other processes: what is imported, and credentials, which come from the process's environment

_CALL = """
import json, os, sys
from secretsvc.backends.base import Settings
from secretsvc.backends.gcp_kms import GcpKms
from secretsvc.errors import KsecretError
sys.modules.update(dict.fromkeys(json.loads(sys.argv[2])))
kms = GcpKms(Settings(os.environ, lambda what: None), patience=float(os.environ.get("TEST_PATIENCE", "10")))
try:
    ref = kms.parse(sys.argv[1])
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
gcp_kms.backend(Settings({{}}, lambda what: None)).parse({REF.id!r})
print([name for name in sys.modules if name.split(".")[0] in ("google", "grpc", "google_crc32c", "requests")])
"""
    assert run("-c", code).stdout == "[]\n"


@pytest.mark.parametrize("missing", ["google.cloud.kms_v1", "google.cloud", "grpc", "google_crc32c"])
def test_without_the_library(kms: gcp.Emulator, missing: str) -> None:
    result = call(kms.endpoint, missing)
    fails(result, "BackendUnavailableError", "the library for Google Cloud KMS is not installed", "'ksecret[gcp]'")


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
    path.write_text(path.read_text().replace(tokens.host, f"127.0.0.1:{free_port()}"))
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


def test_the_emulator_by_hand() -> None:
    command = [sys.executable, "-m", "tests.emulators.gcp", "--latency", "0.001", "--key", REF.id]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            name, _, endpoint = process.stdout.readline().strip().partition("=")
            assert name == "KSECRET_GCP_KMS_ENDPOINT"
            made(endpoint).check(REF)
        finally:
            process.terminate()
