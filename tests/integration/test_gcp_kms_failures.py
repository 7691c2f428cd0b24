"""The Cloud KMS backend when Cloud KMS refuses, fails, throttles, hangs, or isn't there."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core import exceptions
from google.rpc import error_details_pb2
from grpc import StatusCode

from secretsvc.backends import tries
from secretsvc.backends.gcp_kms import backend as gcp_kms
from secretsvc.backends.gcp_kms import errors as gcp_kms_errors
from secretsvc.errors import BackendError, BackendUnavailableError, KeyRefError
from secretsvc.keyref import KeyRef
from tests.emulators import gcp
from tests.emulators.gcp_relay import Relay
from tests.integration.gcp_support import (
    CONTEXT,
    DEK,
    ELSEWHERE,
    REF,
    RING,
    SDK_TEXT,
    backend,
    failure,
    kms,
    made,
    says,
)
from tests.support import quiet_port

__all__ = ["backend", "kms"]  # fixtures, for pytest to find here


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
        (
            *("FAILED_PRECONDITION", SDK_TEXT, "EXTERNAL_PERMISSION_DENIED"),
            *(r"the external key manager behind .* \(EXTERNAL_PERMISSION_DENIED\)", "ekm_errors"),
        ),
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


PROJECT_TEXT = "Caller does not have required permission to use project acme. Grant the caller a role."


@pytest.mark.parametrize("reason", ["USER_PROJECT_DENIED", ""])
def test_a_quota_project_that_is_denied_is_told_apart_from_a_role_that_is_missing_on_the_key(
    kms: gcp.Emulator, backend: gcp_kms.GcpKms, reason: str
) -> None:
    kms.fail(StatusCode.PERMISSION_DENIED, PROJECT_TEXT, reason=reason)
    error = failure(backend.wrap, REF, DEK, CONTEXT)
    says(error, BackendError, "may not use their quota project", "roles/serviceusage.serviceUsageConsumer")
    assert "GOOGLE_CLOUD_QUOTA_PROJECT" in error.hint
    assert "acme" not in error.message


@pytest.mark.parametrize(
    ("consumer", "said"),
    [("projects/acme-1", "projects/acme-1"), ("projects/a b", "a project that"), ("hunter2", "a project that")],
)
@pytest.mark.parametrize("reason", ["USER_PROJECT_DENIED", "SERVICE_DISABLED"])
def test_the_project_that_a_call_counts_for_is_named(reason: str, consumer: str, said: str) -> None:
    info = error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com", metadata={"consumer": consumer})
    denied = exceptions.PermissionDenied(SDK_TEXT, details=[info], error_info=info)
    error = gcp_kms_errors.failed(denied, "decrypt", "kms")
    assert isinstance(error, BackendError)
    assert said in error.message
    assert "GOOGLE_CLOUD_QUOTA_PROJECT" in error.hint


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
    second = failure(backend.unwrap, REF, b"x", CONTEXT)
    assert (second.message, second.hint) == (f"{error.message} (as earlier in this run)", error.hint)
    assert second is not error
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
    assert tries.PATIENCE == 10.0
    with quiet_port() as port:
        backend = made(f"http://127.0.0.1:{port}", patience=4.0)
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            errors = list(pool.map(lambda _: failure(backend.unwrap, REF, b"x", CONTEXT), range(8)))
        assert 3 < time.monotonic() - began < 8  # one after the other they would take 32
        for error in errors:
            says(error, BackendUnavailableError, r"at 127\.0\.0\.1:\d+ can't be reached: the connection was refused")
        began, said = time.monotonic(), f"{errors[0].message} (as earlier in this run)"
        for _ in range(100):
            assert failure(backend.unwrap, REF, b"x", CONTEXT).message == said
        assert time.monotonic() - began < 4  # the patience for one


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
    """By RFC 2606 there is no such name; which of the two is told hangs on how long this machine's resolver takes."""
    error = failure(made("http://kms.invalid:80", patience=0.5).unwrap, REF, b"x", CONTEXT)
    says(error, BackendUnavailableError, "at kms.invalid:80 (can't be reached: its name|did not answer in time)")
