"""Azure Key Vault, Managed HSM and Microsoft Entra ID for tests and for trying things out, over HTTPS and on one port.

    python -m tests.emulators.azure [--port N] [--folder DIR] [--latency SECONDS] [--fault KIND:N]

prints what to `export`; `ksecret` and `sops` then reach it under Azure's own names, for it is a proxy (HTTPS_PROXY)
that answers itself whatever host is asked for, with certificates of an authority of its own (`ca.pem` in the folder).

A vault is any NAME.vault.azure.net, an HSM any NAME.managedhsm.azure.net: the keys are those that were made. A request
without a token is answered with the challenge, one with a body and without a token too; tokens come from
login.microsoftonline.com for a client's secret or a workload's token. Cryptography is real.

Modelled on: Azure Key Vault REST API reference (Get Key, Get Keys, Get Deleted Key, Wrap Key, Unwrap Key, Encrypt,
Decrypt), "Authentication, requests and responses", "Azure Key Vault REST API error codes"; Microsoft identity platform,
"OAuth 2.0 client credentials flow"; and on what Microsoft's SDKs expect. Not checked against Azure itself: texts of
errors beside those that its documents and public issue trackers quote, what a Managed HSM says of its errors, the order
in which states and permissions are looked at, and anything of networks, throttling by number, and private endpoints.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import ssl
import tempfile
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from tests.emulators.serving import Fault, Handler, Server, Serving
from tests.unit.certificates import Authority

TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
CLIENT = "11111111-2222-4333-8444-555555555555"
CLIENT_SECRET = "azure-client-secret-do-not-show"
ACCESS_TOKEN = "azure-access-token-do-not-show"
"""What every token of its begins with."""
SECRET_TEXT = "do-not-show-this"
"""Stands in the text of every error: an SDK's text must not reach people."""
LOGIN = "login.microsoftonline.com"
VAULT = "demo.vault.azure.net"
HSM = "demo.managedhsm.azure.net"
_DOMAINS = ("vault.azure.net", "managedhsm.azure.net", LOGIN, "vault.example.test")

_OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
_POOL: list[rsa.RSAPrivateKey] = []
"""RSA keys take long to make: emulators of one process use the same ones."""

_FAULTS = {
    "throttle": (429, "Throttled"),
    "internal": (500, "InternalServerError"),
    "unavailable": (503, "ServiceUnavailable"),
}
"""Errors that a vault gives at any time. `drop`, `slow`, `drip`, `garbage`, `list`, `odd`, `redirect` are others."""


class VaultError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, inner: str = "", text: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.inner, self.text = status, code, inner, f"{text} {SECRET_TEXT}"


class Version:
    """One version of a key. `attributes` and `operations` may be changed."""

    def __init__(self, kid: str, kty: str, number: int) -> None:
        self.kid, self.kty = kid, kty
        now = int(time.time())
        self.attributes: dict[str, Any] = {"enabled": True, "created": now, "updated": now}
        self.operations = ["wrapKey", "unwrapKey", "encrypt", "decrypt"]
        self._rsa = _rsa(number) if kty.startswith("RSA") else None
        self._aes = os.urandom(32)

    @property
    def bundle(self) -> dict[str, Any]:
        key: dict[str, Any] = {"kid": self.kid, "kty": self.kty, "key_ops": self.operations}
        if self._rsa:
            numbers = self._rsa.public_key().public_numbers()
            key |= {name: _text(_bytes(number)) for name, number in (("n", numbers.n), ("e", numbers.e))}
        return {"key": key, "attributes": self.attributes}

    def work(self, operation: str, algorithm: str, value: bytes) -> bytes:
        """Raises VaultError."""
        fits = {"RSA-OAEP-256": bool(self._rsa), "A256KW": self.kty == "oct-HSM"}
        if not fits.get(algorithm):
            raise VaultError(400, "BadParameter", text=f"Key type {self.kty} does not support algorithm {algorithm}")
        wraps = operation in ("wrapkey", "encrypt")
        try:
            if self._rsa:
                return self._rsa.public_key().encrypt(value, _OAEP) if wraps else self._rsa.decrypt(value, _OAEP)
            return aes_key_wrap(self._aes, value) if wraps else aes_key_unwrap(self._aes, value)
        except (ValueError, InvalidUnwrap):
            raise VaultError(400, "BadParameter", text="The parameter is incorrect.") from None


def _rsa(number: int) -> rsa.RSAPrivateKey:
    while len(_POOL) <= number:
        _POOL.append(rsa.generate_private_key(65537, 2048))
    return _POOL[number]


class Emulator(Serving):
    """All vaults, and who gives out tokens. Everything may be changed while it runs.

    `latency` and `slow` are seconds; `denied` has pairs of a permission as `unwrapkey` (or "*") and the inner code of
    the 403; `hung` hosts that never answer; `down` hosts whose connections are cut; `calls` counts by operation, and
    `total` all of vaults. Calls wait while `gate` is cleared.
    """

    def __init__(
        self, *, folder: Path | None = None, latency: float = 0.0, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._folder = folder or Path(tempfile.mkdtemp(prefix="azure-emulator-"))
        self._authority = Authority(self._folder, hours=24 * 30)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.keys: dict[tuple[str, str], list[Version]] = {}
        self.deleted: dict[tuple[str, str], list[Version]] = {}
        self.latency, self.slow = latency, 30.0
        self.faults: list[Fault] = []
        self.denied: dict[str, str] = {}
        self.hung: set[str] = set()
        self.down: set[str] = set()
        self.challenge_resource = ""
        self.retry_after = ""
        self.token_error = ""
        """Code of Microsoft Entra ID's, in place of a token."""
        self.token_seconds = 3600
        self.calls: Counter[str] = Counter()
        self.total = 0
        self.tokens = 0
        self.seen: list[tuple[str, str, str]] = []
        """Host, path and Authorization of every request."""
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()
        self._server = Server((host, port), _handler(self))

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def environ(self) -> dict[str, str]:
        """What points azure-identity, the SDK and sops at it."""
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.port}",
            "REQUESTS_CA_BUNDLE": self._authority.ca_file,
            "SSL_CERT_FILE": self._authority.ca_file,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_CLIENT_SECRET": CLIENT_SECRET,
            "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
        }

    def create_key(self, name: str, host: str = VAULT, kty: str = "RSA", version: str = "") -> str:
        """A key, or a version more of it, by a number of its own where none is given; its identifier."""
        versions = self.keys.setdefault((host, name), [])
        kid = f"https://{host}/keys/{name}/{version or os.urandom(16).hex()}"
        with self._lock:
            number = sum(map(len, self.keys.values()))
            versions.append(Version(kid, kty, number))
        return kid

    def version(self, kid: str) -> Version:
        return next(one for versions in self.keys.values() for one in versions if one.kid == kid)

    def delete_key(self, kid: str) -> None:
        """As `az keyvault key delete`: it can still be recovered."""
        host, name = _named(kid)
        self.deleted[host, name] = self.keys.pop((host, name))

    def context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._authority.server_context(host)
            return self._contexts[host]

    def fault(self) -> str:
        """Count a call of a vault's; the kind of fault that is its turn, or ""."""
        with self._lock:
            self.total += 1
            return next((fault.kind for fault in self.faults if self.total % fault.every == 0), "")

    def answer(self, host: str, operation: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What a vault answers. Raises VaultError."""
        with self._lock:
            self.calls[operation] += 1
        inner = self.denied.get(operation, self.denied.get("*", ""))
        if inner:
            raise VaultError(403, "Forbidden", inner, "Caller is not authorized to perform action on resource.")
        _, _, name, version, *_ = (*path.split("/"), "", "")
        if operation == "list":
            ends = [(name, versions[-1]) for (at, name), versions in self.keys.items() if at == host]
            value = [{"kid": f"https://{host}/keys/{name}", "attributes": one.attributes} for name, one in ends]
            return {"value": value, "nextLink": None}
        if path.startswith("/deletedkeys/"):
            return self._found(self.deleted, host, name, "").bundle
        one = self._found(self.keys, host, name, version)
        if operation == "get":
            return one.bundle
        if not one.attributes["enabled"] and operation in ("unwrapkey", "decrypt"):
            raise VaultError(
                403, "Forbidden", "KeyDisabled", f"Operation {operation} is not allowed on a disabled key."
            )
        now = time.time()
        if operation in ("wrapkey", "encrypt") and one.attributes.get("exp", now + 9) < now:
            raise VaultError(403, "Forbidden", "", f"Operation {operation} is not allowed on an expired key.")
        if operation in ("wrapkey", "encrypt") and one.attributes.get("nbf", 0) > now:
            raise VaultError(403, "Forbidden", "", f"Operation {operation} is not allowed on a key not yet valid.")
        if operation not in [permitted.lower() for permitted in one.operations]:
            text = f"Operation {operation} is not permitted on this key."
            raise VaultError(403, "Forbidden", "KeyOperationForbidden", text)
        return {"kid": one.kid, "value": _text(one.work(operation, body["alg"], _data(body["value"])))}

    def _found(self, keys: dict[tuple[str, str], list[Version]], host: str, name: str, version: str) -> Version:
        versions = [one for one in keys.get((host, name), ()) if version in ("", one.kid.rpartition("/")[2])]
        if not versions:
            raise VaultError(404, "KeyNotFound", text=f"A key with (name/id) {name} was not found in this key vault.")
        return versions[-1]


def _named(kid: str) -> tuple[str, str]:
    parts = urlsplit(kid)
    return parts.netloc, parts.path.split("/")[2]


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _data(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class _Handler(Handler):
    """One connection: a request to connect first (RFC 9110, section 9.3.6), then TLS and what is asked of that host."""

    azure: Emulator
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.removesuffix(":443").lower()
        known = any(self.host == domain or self.host.endswith(f".{domain}") for domain in _DOMAINS)
        if not known or self.host in self.azure.down:
            self.send_error(502)
            return
        self.send_response_only(200)
        self.end_headers()
        self.wfile.flush()
        try:
            tls = self.azure.context(self.host).wrap_socket(self.connection, server_side=True)
        except (OSError, ssl.SSLError):
            self.close_connection = True
            return
        self.rfile.close()
        self.connection = self.request = tls
        self.rfile, self.wfile = tls.makefile("rb", -1), tls.makefile("wb", -1)
        self.close_connection = False

    def do_GET(self) -> None:
        self._vault({})

    def do_POST(self) -> None:
        data = self.asked()
        if self.host == LOGIN:
            self._token(parse_qs(data.decode()))
            return
        self._vault(json.loads(data) if data else {})

    def _token(self, form: dict[str, list[str]]) -> None:
        """The token endpoint of Microsoft Entra ID, for confidential clients."""
        with self.azure._lock:
            self.azure.tokens += 1
            number = self.azure.tokens
        error = self.azure.token_error
        known = form.get("client_secret") == [CLIENT_SECRET] or bool(form.get("client_assertion"))
        if not error and not known:
            error = "AADSTS7000215"
        if error:
            said = {"error": "invalid_client", "error_description": f"{error}: {SECRET_TEXT}", "error_codes": [1]}
            self.answer(401, said)
            return
        scope = form.get("scope", [""])[0].partition(" ")[0]
        token = f"{ACCESS_TOKEN}.{scope.removesuffix('/.default').removeprefix('https://')}.{number}"
        seconds = self.azure.token_seconds
        self.answer(200, {"token_type": "Bearer", "expires_in": seconds, "access_token": token})

    def _vault(self, body: dict[str, Any]) -> None:
        """A request of a vault's or an HSM's, or the metadata of Microsoft Entra ID."""
        path = urlsplit(self.path).path
        sent = self.headers.get("Authorization", "")
        self.azure.seen.append((self.host, path, sent))
        if self.host == LOGIN:
            self._metadata()
            return
        self.azure.gate.wait()
        if self.host in self.azure.hung:
            time.sleep(self.azure.slow)
            self.drop()
            return
        _, _, domain = self.host.partition(".")
        resource = self.azure.challenge_resource or f"https://{domain}"
        if not sent.startswith(f"Bearer {ACCESS_TOKEN}.{domain}."):
            authority = f"https://{LOGIN}/{TENANT}"
            challenge = f'Bearer authorization="{authority}", resource="{resource}"'
            refusal = VaultError(401, "Unauthorized", text="AKV10000: Request is missing a Bearer or PoP token.")
            self._fail(refusal, {"WWW-Authenticate": challenge})
            return
        kind = self.azure.fault()
        if kind:
            self.wait(self.azure.latency)
            self._odd(kind)
            return
        parts = path.strip("/").split("/")
        operation = parts[-1] if self.command == "POST" else "list" if parts == ["keys"] else "get"
        try:
            found = self.azure.answer(self.host, operation, path, body)
        except VaultError as error:
            self.wait(self.azure.latency)
            self._fail(error)
        else:
            self.wait(self.azure.latency)
            self.answer(200, found)

    def _odd(self, kind: str) -> None:
        if kind == "slow":
            time.sleep(self.azure.slow)
        if kind in ("drop", "slow"):
            self.drop()
        elif kind == "drip":
            self.drip()
        elif kind == "redirect":
            self.answer(302, {}, {"Location": f"https://other.{VAULT.partition('.')[2]}{self.path}"})
        elif kind in ("garbage", "list", "odd"):
            odd = {"kid": f"https://{self.host}/keys/other/{'0' * 32}", "value": "QUJD"}
            self.answer(200, {"garbage": b"<html>not JSON</html>", "list": [1], "odd": odd}[kind])
        else:
            status, _, inner = kind.partition("/")
            number, code = _FAULTS.get(kind) or (int(status), "Error")
            headers = {"Retry-After": self.azure.retry_after} if self.azure.retry_after else {}
            self._fail(VaultError(number, code, inner), headers)

    def _metadata(self) -> None:
        """What MSAL asks of the authority before it asks for a token (OpenID Connect Discovery 1.0)."""
        authority = f"https://{LOGIN}/{TENANT}"
        if self.path.startswith("/common/discovery/instance"):
            names = {"preferred_network": LOGIN, "preferred_cache": LOGIN, "aliases": [LOGIN]}
            found = {"tenant_discovery_endpoint": f"{authority}/v2.0/.well-known/openid-configuration"}
            self.answer(200, {**found, "metadata": [names]})
            return
        self.answer(
            200,
            {
                "issuer": f"{authority}/v2.0",
                "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
                "token_endpoint": f"{authority}/oauth2/v2.0/token",
            },
        )

    def _fail(self, error: VaultError, headers: dict[str, str] | None = None) -> None:
        said: dict[str, Any] = {"code": error.code, "message": error.text}
        if error.inner:
            said["innererror"] = {"code": error.inner}
        self.answer(error.status, {"error": said}, headers)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()  # of TLS, which the server does not know of


def _handler(azure: Emulator) -> type[_Handler]:
    return type("Handler", (_Handler,), {"azure": azure})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.azure", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--folder", type=Path, help="for its certificates; default: a new one")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:N", help="goes wrong with every Nth call")
    parser.add_argument("--key", default="demo", help="NAME or NAME/VERSION of a key in the vault, and one in the HSM")
    return parser.parse_args()


def main() -> None:
    """Serves until it is interrupted."""
    given = _arguments()
    with Emulator(folder=given.folder, latency=given.latency, host=given.host, port=given.port) as azure:
        azure.faults = list(map(Fault.of, given.fault))
        name, _, version = given.key.partition("/")
        kid = azure.create_key(name, version=version)
        azure.create_key(name, HSM, "oct-HSM", version)
        for name, value in {**azure.environ, "KSECRET_KEYS": f"azure:{kid}"}.items():
            print(f"export {name}={value}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
