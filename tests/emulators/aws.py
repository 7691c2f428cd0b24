"""AWS KMS for tests and for trying things out: moto's real server, and a stub that can misbehave on demand.

    python -m tests.emulators.aws [--port N]                    moto, with a key and an alias made in it
    python -m tests.emulators.aws --stub --latency 0.02         the stub: fast, and any key ARN exists in it
    python -m tests.emulators.aws --fault throttle:5            faults in front of moto (with --stub: in the stub)
    python -m tests.emulators.aws --stub --state ARN=Disabled   a key's state

Each prints the environment that points the AWS SDKs, `ksecret` and `sops` at it.

The stub speaks what Encrypt, Decrypt and ReEncrypt of the KMS API do on the wire (AWS JSON 1.1), with real AES-GCM and
the encryption context as additional data. It forgets nothing between runs: a key's material follows from its ARN, so
what one run wrapped another unwraps. That also means that it protects nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import json
import logging
import os
import re
import threading
import time
from base64 import b64decode, b64encode
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.emulators.serving import Fault, Handler, Server, Serving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ENVIRON = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}
"""Credentials that are as good as any here, and no look for others."""

SECRET_TEXT = "do-not-show-this"
"""Stands in the text of every error that the stub answers with: an SDK's text must not reach people."""

_STATES = {
    "Disabled": ("DisabledException", "{arn} is disabled."),
    "PendingDeletion": ("KMSInvalidStateException", "{arn} is pending deletion."),
    "PendingImport": ("KMSInvalidStateException", "{arn} is pending import."),
    "Unavailable": ("KMSInvalidStateException", "{arn} is unavailable."),
    "NotFound": ("NotFoundException", "Key '{arn}' does not exist"),
    "Usage": ("InvalidKeyUsageException", "{arn} key usage is SIGN_VERIFY."),
    "Denied": ("AccessDeniedException", "User: x is not authorized to perform: kms:{action} on resource: {arn}"),
}

_FAULTS = {
    "throttle": (400, "ThrottlingException"),
    "internal": (500, "KMSInternalException"),
    "unavailable": (503, "ServiceUnavailableException"),
    "timeout": (500, "DependencyTimeoutException"),
}
"""Errors that AWS gives at any time. `drop` and `slow` are no answers at all; another word is an error's code."""

_ODD = {
    "garbage": (200, b"<html>not JSON</html>"),
    "list": (200, b"[1]"),
    "odd": (200, b'{"KeyId": "other", "Plaintext": "QUJD", "CiphertextBlob": "QUJD"}'),
    "foreign": (
        400,
        b'{"__type": "AccessDeniedException", "message": "The ciphertext refers to a customer master key"}',
    ),
    "scope": (
        400,
        b'{"__type": "InvalidSignatureException", "message": "Credential should be scoped to a valid region"}',
    ),
}
"""Answers that are not what was asked for, or say more than their code."""


class KmsError(Exception):
    """An answer that is an error: its HTTP status, its code and its text."""

    def __init__(self, code: str, text: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.text, self.status = code, f"{text} {SECRET_TEXT}", status


class StubKms(Serving):
    """The stub, and the proxy with faults where `upstream` (a URL) is given. Counts the calls in `calls`.

    `latency` and `slow` are seconds; `states` are by ARN; `aliases` name the key ARN behind an alias ARN, where it
    matters which. All may be changed while it runs. Calls wait while `gate` is cleared.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        faults: Sequence[Fault] = (),
        states: Mapping[str, str] | None = None,
        upstream: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        slow: float = 30.0,
    ) -> None:
        self.latency, self.faults, self.slow = latency, list(faults), slow
        self.states, self.upstream = dict(states or {}), upstream
        self.aliases: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.calls = 0
        self.seen: list[tuple[str, dict[str, Any]]] = []
        """The action and parameters of every call, without the plaintexts."""
        self.callers: list[str] = []
        """The access key of every call of KMS."""
        self._lock = threading.Lock()
        self._server = Server((host, port), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fault(self, action: str, body: dict[str, Any]) -> str:
        """Counts a call; the kind of fault that is its turn, or ""."""
        with self._lock:
            self.calls += 1
            self.seen.append((action, {name: value for name, value in body.items() if name != "Plaintext"}))
            if self.states.get(body.get("KeyId", "")) == "Slow":
                return "slow"
            return next((fault.kind for fault in self.faults if self.calls % fault.every == 0), "")

    def answer(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """What KMS answers. Raises KmsError."""
        if action == "Encrypt":
            arn = self._key(body["KeyId"], action)
            blob = _seal(arn, b64decode(body["Plaintext"]), body.get("EncryptionContext"))
            return {"CiphertextBlob": _text(blob), "KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        if action == "Decrypt":
            arn = self._key(body["KeyId"], action)
            plain = _open(arn, b64decode(body["CiphertextBlob"]), body.get("EncryptionContext"))
            return {"Plaintext": _text(plain), "KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        if action == "ReEncrypt":
            arn = self._key(body["SourceKeyId"], "ReEncryptFrom")
            new = self._key(body["DestinationKeyId"], "ReEncryptTo")
            plain = _open(arn, b64decode(body["CiphertextBlob"]), body.get("SourceEncryptionContext"))
            blob = _seal(new, plain, body.get("DestinationEncryptionContext"))
            return {"CiphertextBlob": _text(blob), "KeyId": new, "SourceKeyId": arn}
        raise KmsError("UnknownOperationException")

    def _key(self, arn: str, action: str) -> str:
        """The key ARN that an ARN stands for. Raises KmsError for a key that can't be used."""
        if ":alias/" in arn:
            digits = hashlib.sha256(arn.encode()).hexdigest()
            key = re.sub(r"^(.{8})(.{4})(.{4})(.{4})(.{12}).*", r"\1-\2-\3-\4-\5", digits)
            arn = self.aliases.get(arn, f"{arn.rpartition(':')[0]}:key/{key}")
        state = self.states.get(arn)
        if state in _STATES:
            code, text = _STATES[state]
            raise KmsError(code, text.format(arn=arn, action=action))
        return arn


def _name(arn: str) -> str:
    """What two ARNs of one key have in common: a multi-region key is the same everywhere."""
    return arn.rpartition("/")[2] if ":key/mrk-" in arn else arn


def _cipher(arn: str, context: Mapping[str, str] | None) -> tuple[AESGCM, bytes]:
    key = hmac.digest(b"stub-kms: protects nothing", _name(arn).encode(), "sha256")
    return AESGCM(key), json.dumps(context or {}, sort_keys=True).encode()


def _tag(arn: str) -> bytes:
    return hashlib.sha256(_name(arn).encode()).digest()


def _seal(arn: str, plain: bytes, context: Mapping[str, str] | None) -> bytes:
    cipher, aad = _cipher(arn, context)
    nonce = os.urandom(12)
    return _tag(arn) + nonce + cipher.encrypt(nonce, plain, aad)


def _open(arn: str, blob: bytes, context: Mapping[str, str] | None) -> bytes:
    if len(blob) < 60:
        raise KmsError("InvalidCiphertextException")
    if blob[:32] != _tag(arn):
        raise KmsError("IncorrectKeyException", "The key ID in the request does not identify a CMK that can")
    cipher, aad = _cipher(arn, context)
    try:
        return cipher.decrypt(blob[32:44], blob[44:], aad)
    except InvalidTag:
        raise KmsError("InvalidCiphertextException") from None


def _text(data: bytes) -> str:
    return b64encode(data).decode()


class _Handler(Handler):
    kms: StubKms
    _upstream: HTTPConnection | None = None

    def do_POST(self) -> None:
        body = self.asked()
        if "X-Amz-Target" not in self.headers:  # not KMS: STS is asked for a role, say
            self.kms.seen.append(("STS", dict(parse_qsl(body.decode()))))
            if self.kms.upstream:
                self._send(*self._forward(body), "text/xml")
                return
            self._send(403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", "text/xml")
            return
        parameters = json.loads(body)
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.kms.callers.append(self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0])
        kind = self.kms.fault(action, parameters)
        self.kms.gate.wait()
        if self.kms.latency:
            time.sleep(self.kms.latency)
        if kind == "slow":
            time.sleep(self.kms.slow)
        if kind in ("drop", "slow"):
            self.drop()
        elif kind in _ODD:
            self._send(*_ODD[kind])
        elif kind:
            status, code = _FAULTS.get(kind, (400, kind))
            self._fail(KmsError(code, "", status))
        elif self.kms.upstream:
            self._send(*self._forward(body))
        else:
            try:
                self._send(200, json.dumps(self.kms.answer(action, parameters)).encode())
            except KmsError as error:
                self._fail(error)

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        if self._upstream is None:
            self._upstream = HTTPConnection(urlsplit(self.kms.upstream).netloc, timeout=30)
        self._upstream.request("POST", self.path, body, dict(self.headers))
        response = self._upstream.getresponse()
        return response.status, response.read()

    def _fail(self, error: KmsError) -> None:
        self._send(error.status, json.dumps({"__type": error.code, "message": error.text}).encode())

    def _send(self, status: int, body: bytes, kind: str = "application/x-amz-json-1.1") -> None:
        self.answer(status, body, kind=kind)

    def finish(self) -> None:
        if self._upstream:
            self._upstream.close()
        super().finish()


def _handler(kms: StubKms) -> type[_Handler]:
    return type("Handler", (_Handler,), {"kms": kms})


class Moto:
    """moto's own server in a thread. All in one process share its keys.

    It neither enforces key states nor IAM, and loses the last letters of a multi-region key's id: the stub does these.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else it prints a line for each request
        self._server = ThreadedMotoServer(host, port, verbose=False)
        self._clients: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.get_host_and_port()[1]}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def client(self, region: str = "eu-west-1") -> Any:
        """A KMS client of botocore's, to make keys and aliases with."""
        from botocore.session import Session

        if region not in self._clients:
            session = Session()
            session.set_credentials("testing", "testing")
            self._clients[region] = session.create_client("kms", region_name=region, endpoint_url=self.url)
        return self._clients[region]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.aws", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--stub", action="store_true", help="the stub in place of moto")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:N", help="goes wrong with every Nth call")
    parser.add_argument("--state", action="append", default=[], metavar="ARN=STATE", help=", ".join([*_STATES, "Slow"]))
    return parser.parse_args()


def main() -> None:
    """Serves until it is interrupted."""
    given = _arguments()
    faults = list(map(Fault.of, given.fault))
    states = dict(text.split("=", 1) for text in given.state)
    with contextlib.ExitStack() as stack:
        key, upstream = KEY, ""
        if not given.stub:
            in_front = bool(faults or given.latency)
            moto = stack.enter_context(Moto() if in_front else Moto(given.host, given.port))
            key = moto.client().create_key(Description="for trying things out")["KeyMetadata"]["Arn"]
            upstream = moto.url
        url = upstream
        if given.stub or faults or given.latency:
            stub = StubKms(
                latency=given.latency, faults=faults, states=states, upstream=upstream, host=given.host, port=given.port
            )
            url = stack.enter_context(stub).url
        for name, value in {**ENVIRON, "AWS_ENDPOINT_URL_KMS": url, "KSECRET_KEYS": f"aws:{key}"}.items():
            print(f"export {name}={value}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
