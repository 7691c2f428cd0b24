"""An emulator of Cloud KMS: Encrypt, Decrypt and lists of keys over gRPC, with faults on demand.

By hand, in clear text and for anybody: `python -m tests.emulators.gcp --port 8085 --key projects/…/cryptoKeys/…`,
then KSECRET_GCP_KMS_ENDPOINT=http://127.0.0.1:8085. In tests: `with Emulator() as kms`.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from google.cloud.kms_v1.types import (
    CryptoKey,
    CryptoKeyVersion,
    DecryptRequest,
    DecryptResponse,
    EncryptRequest,
    EncryptResponse,
    ListCryptoKeysRequest,
    ListCryptoKeysResponse,
    ListKeyRingsRequest,
    ListKeyRingsResponse,
    ProtectionLevel,
)
from google.cloud.location.locations_pb2 import ListLocationsRequest, ListLocationsResponse
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo, PreconditionFailure
from google.rpc.status_pb2 import Status
from google_crc32c import value as crc32c
from grpc_status import rpc_status

from tests.emulators.gcp_keys import Key, KeyStore, KmsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SERVICE = "google.cloud.kms.v1.KeyManagementService"
THREADS = 128

# Faults beside status codes.
UNVERIFIED = "the answer says that the checksums were not verified"
BAD_CHECKSUM = "the answer's checksum is of something else"
ALTERED_REQUEST = "one bit of the request changes before it arrives"
OTHER_KEY = "the answer names another key"
DROP = "the connection is cut before the answer"


class Fault(NamedTuple):
    """What goes wrong with one call: a status code, or one of the words above."""

    what: grpc.StatusCode | str
    text: str = ""
    reason: str = ""


class Emulator:
    """The service, with everything that a test may want to change about it.

    `keys` has the keys; `latency` is in seconds, slept in each call; `calls` counts calls by operation, and `answered`
    those of them that had a result. `principals` are the `sub` of the callers' tokens, the tokens themselves where
    they are no JWT, or "anonymous".
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, latency: float = 0.0, tls: tuple[bytes, bytes] | None = None
    ) -> None:
        self.keys = KeyStore()
        self.latency = latency
        self.calls: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.principals: set[str] = set()
        self._metadata: Any = ()
        self.cut: Callable[[], None] = lambda: None
        """How DROP cuts connections: a Relay's `cut`."""
        self.down: set[str] = set()
        """Locations for whose keys every call is answered with UNAVAILABLE."""
        self.unavailable: set[str] = set()
        """Operations, Encrypt or Decrypt, that are answered with UNAVAILABLE."""
        self._every: dict[int, Fault] = {}
        self._next: deque[Fault] = deque()
        self._lock = Lock()
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS), handlers=_handlers(self), options=(("grpc.so_reuseport", 0),)
        )
        if tls:
            self.port = self._server.add_secure_port(f"localhost:{port}", grpc.ssl_server_credentials([tls]))
        else:
            self.port = self._server.add_insecure_port(f"{host}:{port}")

    @property
    def metadata(self) -> dict[str, str]:
        """What came with the latest call."""
        return {name: str(value) for name, value in self._metadata}

    @property
    def endpoint(self) -> str:
        """What KSECRET_GCP_KMS_ENDPOINT should say."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Emulator:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def wait(self) -> None:
        self._server.wait_for_termination()

    def create_key(self, name: str, purpose: str = "ENCRYPT_DECRYPT") -> Key:
        return self.keys.create(name, purpose)

    def fail(self, what: grpc.StatusCode | str, text: str = "", *, reason: str = "", times: int = 1) -> None:
        """The next calls go wrong."""
        self._next.extend([Fault(what, text, reason)] * times)

    def fail_every(self, nth: int, what: grpc.StatusCode | str) -> None:
        """Every nth call goes wrong."""
        self._every[nth] = Fault(what, "injected")

    def encrypt(self, request: Any, context: grpc.ServicerContext) -> Any:
        principal = _principal(context)
        fault = self._enter("Encrypt", request.name, principal, context.invocation_metadata())
        _verify("plaintext", request, request.plaintext, fault)
        _verify("additional_authenticated_data", request, request.additional_authenticated_data, fault)
        key = self.keys.find(request.name, "Encrypt", principal)
        name, ciphertext = key.encrypt(request.plaintext, request.additional_authenticated_data)
        if fault.what == OTHER_KEY:
            name = name.replace("/cryptoKeys/", "/cryptoKeys/not-")
        answer = EncryptResponse.pb()(name=name, ciphertext=ciphertext)
        answer.ciphertext_crc32c.value = crc32c(ciphertext) ^ (fault.what == BAD_CHECKSUM)
        checked = fault.what != UNVERIFIED
        answer.verified_plaintext_crc32c = checked and request.HasField("plaintext_crc32c")
        field = "additional_authenticated_data_crc32c"
        answer.verified_additional_authenticated_data_crc32c = checked and request.HasField(field)
        return self._leave("Encrypt", answer)

    def decrypt(self, request: Any, context: grpc.ServicerContext) -> Any:
        principal = _principal(context)
        fault = self._enter("Decrypt", request.name, principal, context.invocation_metadata())
        _verify("ciphertext", request, request.ciphertext, fault)
        _verify("additional_authenticated_data", request, request.additional_authenticated_data, fault)
        key = self.keys.find(request.name, "Decrypt", principal)
        number, plaintext = key.decrypt(request.ciphertext, request.additional_authenticated_data)
        answer = DecryptResponse.pb()(plaintext=plaintext, used_primary=number == key.primary)
        answer.plaintext_crc32c.value = crc32c(plaintext) ^ (fault.what == BAD_CHECKSUM)
        return self._leave("Decrypt", answer)

    def list_locations(self, _request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("ListLocations", "", _principal(context), context.invocation_metadata())
        places = sorted({name.split("/")[3] for name in self.keys.keys})
        return self._leave("ListLocations", ListLocationsResponse(locations=[{"location_id": one} for one in places]))

    def list_key_rings(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("ListKeyRings", f"{request.parent}/", _principal(context), context.invocation_metadata())
        names = self.keys.keys
        rings = {name.partition("/cryptoKeys/")[0] for name in names if name.startswith(f"{request.parent}/")}
        return self._leave(
            "ListKeyRings", ListKeyRingsResponse.pb()(key_rings=[{"name": one} for one in sorted(rings)])
        )

    def list_crypto_keys(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("ListCryptoKeys", f"{request.parent}/", _principal(context), context.invocation_metadata())
        answer = ListCryptoKeysResponse.pb()()
        for name, key in self.keys.keys.items():
            if name.startswith(f"{request.parent}/"):
                state = CryptoKeyVersion.CryptoKeyVersionState[key.states[key.primary]]
                told = {"state": state, "protection_level": ProtectionLevel.SOFTWARE}
                answer.crypto_keys.add(name=name, purpose=CryptoKey.CryptoKeyPurpose[key.purpose], primary=told)
        return self._leave("ListCryptoKeys", answer)

    def _enter(self, operation: str, name: str, principal: str, metadata: Any) -> Fault:
        """Counts the call, waits, and does what is to go wrong before it is looked at; else says what is to after."""
        with self._lock:
            self.calls[operation] += 1
            self.principals.add(principal)
            self._metadata = metadata
            total = self.calls.total()
            fault = next((fault for nth, fault in self._every.items() if total % nth == 0), Fault(""))
            if self._next:
                fault = self._next.popleft()
        if self.latency:
            time.sleep(self.latency)
        if operation in self.unavailable or any(f"/locations/{location}/" in name for location in self.down):
            raise KmsError(grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable.")
        if fault.what == DROP:
            self.cut()
        if isinstance(fault.what, grpc.StatusCode):
            raise KmsError(fault.what, fault.text, fault.reason)
        return fault

    def _leave(self, operation: str, answer: Any) -> Any:
        with self._lock:
            self.answered[operation] += 1
        return answer


def _verify(field: str, request: Any, data: bytes, fault: Fault) -> None:
    arrived = bytes([data[0] ^ 1]) + data[1:] if fault.what == ALTERED_REQUEST and data else data
    if request.HasField(f"{field}_crc32c") and getattr(request, f"{field}_crc32c").value != crc32c(arrived):
        text = f"The checksum in field {field}_crc32c did not match the data in field {field}."
        raise KmsError(grpc.StatusCode.INVALID_ARGUMENT, text)


def _principal(context: grpc.ServicerContext) -> str:
    for name, header in context.invocation_metadata():
        if name == "authorization":
            token = str(header).removeprefix("Bearer ")
            parts = token.split(".")
            if len(parts) != 3:
                return token
            return str(json.loads(base64.urlsafe_b64decode(parts[1] + "=="))["sub"])
    return "anonymous"


def _handlers(emulator: Emulator) -> list[grpc.GenericRpcHandler]:
    """Generic handlers: the service's own messages, and no generated stubs."""

    def method(work: Callable[[Any, Any], Any], request: Any) -> grpc.RpcMethodHandler:
        def answered(message: Any, context: grpc.ServicerContext) -> Any:
            try:
                return work(message, context)
            except KmsError as error:
                context.abort_with_status(rpc_status.to_status(_status(error)))

        return grpc.unary_unary_rpc_method_handler(
            answered, request.FromString, lambda message: message.SerializeToString()
        )

    keys = {
        "Encrypt": method(emulator.encrypt, EncryptRequest.pb()),
        "Decrypt": method(emulator.decrypt, DecryptRequest.pb()),
        "ListKeyRings": method(emulator.list_key_rings, ListKeyRingsRequest.pb()),
        "ListCryptoKeys": method(emulator.list_crypto_keys, ListCryptoKeysRequest.pb()),
    }
    places = {"ListLocations": method(emulator.list_locations, ListLocationsRequest)}
    return [
        grpc.method_handlers_generic_handler(SERVICE, keys),
        grpc.method_handlers_generic_handler("google.cloud.location.Locations", places),
    ]


def _status(error: KmsError) -> Status:
    status = Status(code=error.code.value[0], message=error.text)
    if error.reason:
        detail = AnyMessage()
        if error.reason.startswith("EXTERNAL_"):  # as of keys in external key managers
            violations = [{"type": "KEY_STATE"}, {"type": error.reason, "description": error.text}]
            detail.Pack(PreconditionFailure(violations=violations))
        else:
            detail.Pack(ErrorInfo(reason=error.reason, domain="googleapis.com"))
        status.details.append(detail)
    return status


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs it until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.gcp", description="A Cloud KMS emulator.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each call takes at least")
    parser.add_argument("--key", action="append", default=[], help="projects/…/cryptoKeys/…; repeat for more")
    options = parser.parse_args(arguments)
    sys.setswitchinterval(0.0005)  # seconds: many threads wait for their turn after each sleep
    with Emulator(host=options.host, port=options.port, latency=options.latency) as emulator:
        for name in options.key:
            emulator.create_key(name)
        print(f"KSECRET_GCP_KMS_ENDPOINT={emulator.endpoint}", flush=True)
        with suppress(KeyboardInterrupt):
            emulator.wait()


if __name__ == "__main__":
    main()
