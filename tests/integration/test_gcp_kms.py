"""The Cloud KMS backend, with Google's real client, against the emulator over the wire. Nothing is mocked."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from google_crc32c import value as crc32c

from secretsvc.backends.gcp_kms import SCHEME
from secretsvc.backends.gcp_kms import backend as gcp_kms
from secretsvc.backends.gcp_kms import client as gcp_kms_client
from secretsvc.errors import AlteredError, BackendError, KeyRefError
from secretsvc.keyref import KeyRef
from tests.emulators import gcp
from tests.emulators.gcp_relay import Relay
from tests.integration.gcp_support import CONTEXT, DEK, ELSEWHERE, REF, RING, ROOT, backend, failure, kms, made, says

__all__ = ["backend", "kms"]  # fixtures, for pytest to find here


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
    assert SCHEME.parse(f" {name}\n") == KeyRef("gcp", name)


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
    says(failure(SCHEME.parse, text), KeyRefError, message, hint)


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
    what = r"altered, wrapped by another key, or with another encryption context \(another Secret's\)"
    says(error, AlteredError, what, "restore the file")


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
    again = backend.wrap(REF, backend.unwrap(REF, old, CONTEXT), CONTEXT)
    assert key.decrypt(again, gcp_kms.additional_data(CONTEXT)) == (2, DEK)
    key.set_state(1, "DISABLED")
    assert backend.unwrap(REF, again, CONTEXT) == DEK
    says(failure(backend.unwrap, REF, old, CONTEXT), BackendError, "version that wrapped it is disabled")


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


@pytest.mark.alone
def test_64_calls_are_served_at_a_time(kms: gcp.Emulator) -> None:
    backend = made(kms.endpoint)
    wrapped = backend.wrap(REF, DEK, CONTEXT)
    kms.latency = 0.5
    began = time.monotonic()
    with ThreadPoolExecutor(64) as pool:
        assert len(list(pool.map(lambda _: backend.unwrap(REF, wrapped, CONTEXT), range(64)))) == 64
    assert time.monotonic() - began < 1.0


def test_the_emulator_by_hand() -> None:
    command = [sys.executable, "-m", "tests.emulators.gcp", "--latency", "0.001", "--key", REF.id]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            name, _, endpoint = process.stdout.readline().strip().partition("=")
            assert name == "KSECRET_GCP_KMS_ENDPOINT"
            backend = made(endpoint)
            assert backend.unwrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT) == DEK
        finally:
            process.terminate()


def test_each_location_has_an_endpoint_of_its_own() -> None:
    """Two emulators, told apart by the address that the location is part of."""
    with gcp.Emulator(host="127.0.0.1") as one, gcp.Emulator(host="127.0.0.2", port=one.port) as other:
        refs = [KeyRef("gcp", f"projects/p/locations/{at}/keyRings/r/cryptoKeys/k") for at in ("1", "2")]
        for emulator, ref in zip((one, other), refs, strict=True):
            emulator.create_key(ref.id)
        backend = made(f"http://127.0.0.{{location}}:{one.port}")
        for ref in (*refs, *refs):
            assert backend.unwrap(ref, backend.wrap(ref, DEK, CONTEXT), CONTEXT) == DEK
        assert (one.calls.total(), other.calls.total()) == (4, 4)
