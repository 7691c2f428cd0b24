"""The AWS KMS backend when KMS refuses, fails, throttles, hangs, or isn't there."""

from __future__ import annotations

import gc
import socket
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import BackendError, BackendUnavailableError, KeyRefError
from secretsvc.keyref import KeyRef
from tests.emulators.aws import KEY, Fault, StubKms
from tests.integration.aws_support import CONTEXT, DEK, REF, environ, failure, kms, made, moto, stub
from tests.support import quiet_port

if TYPE_CHECKING:
    from secretsvc.errors import KsecretError
    from tests.emulators.aws import Moto

__all__ = ["environ", "moto", "stub"]  # fixtures, for pytest to find here


class TestRefusals:
    @pytest.mark.parametrize(
        ("state", "kind", "said"),
        [
            ("Disabled", BackendError, "key is disabled"),
            ("PendingDeletion", BackendError, "is scheduled for deletion"),
            ("PendingImport", BackendError, "has no key material"),
            ("Unavailable", BackendError, "key store that is disconnected"),
            ("NotFound", KeyRefError, "no such AWS KMS key or alias in eu-west-1"),
            ("Usage", KeyRefError, "not for symmetric encryption"),
            ("Denied", BackendError, r"denied: {} is missing \(encryption context: ksecret-name and ksecret-namespace"),
        ],
    )
    @pytest.mark.parametrize(
        ("operation", "permission"),
        [("wrap", "kms:Encrypt"), ("unwrap", "kms:Decrypt"), ("rewrap", "kms:ReEncryptFrom or kms:ReEncryptTo")],
    )
    def test_states(
        self, stub: StubKms, state: str, kind: type[KsecretError], said: str, operation: str, permission: str
    ) -> None:
        stub.states[KEY] = state
        error = failure(operation)
        assert type(error) is (kind if operation == "wrap" else BackendError)
        with pytest.raises(type(error), match=said.format(permission)):
            raise error

    @pytest.mark.parametrize(
        ("fault", "kind", "said"),
        [
            ("throttle", BackendError, "throttles in eu-west-1"),
            ("internal", BackendError, r"AWS KMS in eu-west-1 failed \(KMSInternalException\)"),
            ("unavailable", BackendError, "failed"),
            ("timeout", BackendError, "DependencyTimeoutException"),
            ("garbage", BackendError, "not AWS KMS answers at 127.0.0.1:"),
            ("odd", BackendError, "not AWS KMS answers at 127.0.0.1:"),
            ("list", BackendError, "not AWS KMS answers at 127.0.0.1:"),
            ("drop", BackendUnavailableError, "can't be reached: the connection was cut"),
            ("slow", BackendUnavailableError, "can't be reached: it did not answer in time"),
            ("UnrecognizedClientException", BackendError, "does not know the access key"),
            ("ExpiredTokenException", BackendError, "credentials have expired"),
            ("InvalidSignatureException", BackendError, "clock is off"),
            ("IncompleteSignature", BackendError, "credentials are incomplete"),
            ("MissingAuthenticationTokenException", BackendError, "credentials are incomplete"),
            ("OptInRequired", BackendError, "eu-west-1 is not enabled in that AWS account"),
            ("ValidationException", BackendError, "AWS KMS refused the call"),
            ("UnknownOperationException", BackendError, "something that is not AWS KMS"),
            ("NotAuthorized", BackendError, "access is denied: kms:Decrypt is missing"),
            ("RequestTimeout", BackendError, r"failed \(RequestTimeout\)"),
            ("RequestAborted", BackendError, r"failed \(RequestAborted\)"),
            ("Surprise", BackendError, r"failed \(Surprise\)"),
            ("Sur prise!", BackendError, r"failed \(HTTP 400\)"),
            ("KMSInvalidStateException", BackendError, "can't be used in its present state"),
        ],
    )
    def test_faults(self, stub: StubKms, fault: str, kind: type[KsecretError], said: str) -> None:
        stub.faults.append(Fault(fault))
        error = failure("unwrap")
        assert type(error) is kind
        with pytest.raises(kind, match=said):
            raise error

    def test_a_ciphertext_of_nowhere(self, stub: StubKms) -> None:
        stub.faults.append(Fault("foreign"))
        with pytest.raises(BackendError, match="the key that wrapped its data key is not in eu-west-1"):
            raise failure("unwrap")

    def test_an_endpoint_of_another_region(self, stub: StubKms) -> None:
        stub.faults.append(Fault("scope"))
        with pytest.raises(BackendError, match=r"127\.0\.0\.1:[0-9]+ does not serve eu-west-1"):
            raise failure("unwrap")

    def test_an_endpoint_that_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "not a url")
        with pytest.raises(BackendError, match="no client for AWS KMS in eu-west-1 can be made"):
            raise failure("wrap")

    def test_a_password_in_the_endpoint_is_not_shown(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", stub.url.replace("//", "//me:hunter2@"))
        stub.faults.append(Fault("garbage"))
        error = failure("wrap")
        assert "hunter2" not in str(error)
        with pytest.raises(BackendError, match=r"answers at 127\.0\.0\.1:"):
            raise error


class TestTries:
    @pytest.mark.parametrize("upstream", [False, True], ids=["stub", "moto"])
    def test_calls_that_fail_and_throttle_at_times_all_succeed(
        self, moto: Moto, monkeypatch: pytest.MonkeyPatch, upstream: bool
    ) -> None:
        ref, count = (made(moto), 40) if upstream else (REF, 200)
        faults = [Fault("internal", 7), Fault("throttle", 5), Fault("drop", 23)]
        with StubKms(faults=faults, upstream=moto.url if upstream else "") as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
            backend = kms()

            def there_and_back(number: int) -> bytes:
                dek = number.to_bytes(32)
                assert backend.unwrap(ref, backend.wrap(ref, dek, CONTEXT), CONTEXT) == dek
                return dek

            with ThreadPoolExecutor(16) as pool:
                assert list(pool.map(there_and_back, range(count))) == [number.to_bytes(32) for number in range(count)]
        assert server.calls > 2 * count * 1.3

    def test_failures_and_throttling_do_not_make_a_region_dead(self, stub: StubKms) -> None:
        backend = kms(0.3)
        for fault in ("throttle", "internal"):
            stub.faults = [Fault(fault)]
            with pytest.raises(BackendError, match=r"throttles|failed"):
                backend.wrap(REF, DEK, CONTEXT)
        stub.faults = []
        assert backend.unwrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT) == DEK

    @pytest.mark.parametrize("code", ["RequestTimeout", "RequestTimeoutException", "RequestAborted"])
    def test_what_was_cut_on_its_way_is_tried_again(self, stub: StubKms, code: str) -> None:
        """AWS says so with a 4xx, which else is final."""
        backend = kms()
        wrapped = backend.wrap(REF, DEK, CONTEXT)
        stub.faults = [Fault(code, 2)]
        assert backend.unwrap(REF, wrapped, CONTEXT) == DEK
        assert stub.calls == 3

    def test_a_refusal_is_not_tried_again(self, stub: StubKms) -> None:
        stub.states[KEY] = "Denied"
        with pytest.raises(BackendError, match="denied"):
            kms().wrap(REF, DEK, CONTEXT)
        assert stub.calls == 1


class TestDeadRegion:
    def test_it_costs_its_time_once_in_a_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with quiet_port() as port:
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{port}")
            backend, began = kms(), time.monotonic()
            with pytest.raises(BackendUnavailableError, match=r"AWS KMS in eu-west-1 .*can't be resolved, or the conn"):
                backend.wrap(REF, DEK, CONTEXT)
            assert time.monotonic() - began < 5  # of its ten: it takes no patience to be refused three times
            with StubKms(port=port) as back_again:
                for _ in range(100):
                    with pytest.raises(BackendUnavailableError, match=r"refused \(as earlier in this run\)") as caught:
                        backend.unwrap(REF, b"x" * 99, CONTEXT)
                assert caught.value.hint
                assert back_again.calls == 0
                other = KeyRef("aws", KEY.replace("eu-west-1", "us-east-1"))
                assert backend.unwrap(other, backend.wrap(other, DEK, CONTEXT), CONTEXT) == DEK
                assert kms().wrap(REF, DEK, CONTEXT)

    def test_nobody_waits_for_longer_than_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with StubKms(faults=[Fault("slow")], slow=5) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
            backend = kms(1.0)
            backend_calls = [lambda: backend.wrap(REF, DEK, CONTEXT)] * 8
            began = time.monotonic()
            with ThreadPoolExecutor(8) as pool:
                for future in [pool.submit(call) for call in backend_calls]:
                    with pytest.raises(BackendUnavailableError, match="did not answer in time"):
                        future.result()
            assert time.monotonic() - began < 4.0  # one answer alone would take 5
            assert server.calls <= 16

    def test_a_silent_key_among_others_that_answer_does_not_make_it_dead(self, stub: StubKms) -> None:
        backend, silent = kms(1.0), KeyRef("aws", KEY.replace("1234abcd", "99999999"))
        stub.states[silent.id] = "Slow"
        with ThreadPoolExecutor(1) as pool:
            given_up = pool.submit(backend.wrap, silent, DEK, CONTEXT)
            while not given_up.done():
                assert backend.wrap(REF, DEK, CONTEXT)
                time.sleep(0.02)
            with pytest.raises(BackendUnavailableError, match="did not answer in time"):
                given_up.result()
        assert backend.wrap(REF, DEK, CONTEXT)

    def test_a_connection_that_is_never_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for filler in (first, second):  # a full backlog: Linux then ignores who wants to connect
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{deaf.getsockname()[1]}")
            began = time.monotonic()
            with pytest.raises(BackendUnavailableError, match="the connection was not made in time"):
                raise failure("wrap", 0.5)
            assert time.monotonic() - began < 2.0

    def test_a_server_without_tls(self, stub: StubKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", stub.url.replace("http:", "https:"))
        with pytest.raises(BackendUnavailableError, match=r"can't be reached: .*TLS fails"):
            raise failure("wrap")
        backend = kms()
        for said in ("TLS fails$", r"\(as earlier in this run\)"):
            with pytest.raises(BackendUnavailableError, match=said):
                backend.wrap(REF, DEK, CONTEXT)

    def test_one_cut_connection_among_answers_does_not_make_it_dead(self, stub: StubKms) -> None:
        stub.faults = [Fault("drop", 2)]
        backend = kms()
        assert {backend.unwrap(REF, backend.wrap(REF, DEK, CONTEXT), CONTEXT) for _ in range(10)} == {DEK}


def test_who_asks_anew_after_every_failure_takes_no_more_memory(stub: StubKms) -> None:
    """As the service does. A client is made of megabytes, which Python is in no hurry to collect."""
    assert stub
    kms().wrap(REF, DEK, CONTEXT)
    tracemalloc.start()
    gc.disable()
    try:
        kms().wrap(REF, DEK, CONTEXT)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(4):
            kms().wrap(REF, DEK, CONTEXT)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        gc.enable()
        tracemalloc.stop()
    assert grown < 8_000_000
