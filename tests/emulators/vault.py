"""An emulator of Vault's and OpenBao's HTTP API: Transit, policies, tokens and logins, with faults on demand.

By hand: `python -m tests.emulators.vault --port 8201 --key transit/keys/demo`, then what it prints in the environment.
In tests: `with Emulator() as vault`.

Modelled on Vault's API documentation and its source, 1.21. The tests of tests/integration/test_vault_servers.py run
against it and, where `vault` or `bao` is on PATH, against a real server: they passed on Vault 1.21.4, but for logins by
JWT and Kubernetes, and whole, with those and namespaces, on OpenBao 2.6.2. What a real one was not asked for: standby
servers, quotas, and failures that are made up.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import secrets
import ssl
import threading
import time
from base64 import b64encode
from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.emulators.serving import Handler, Server, Serving
from tests.emulators.vault_keys import Key, VaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = "root-token-of-the-emulator"
SECRET_TEXT = "do-not-show-this"
"""Stands in every fault's text: what Vault says must not reach people."""

# Faults beside statuses.
DROP = "the connection is cut before the answer"
HANG = "there is no answer"
DRIP = "an answer that comes byte by byte, and never ends"
GARBAGE = "an answer that is no JSON"
ENDLESS = "an answer that does not end"
DEEP = "an answer of JSON in lists in lists"
PACKED = "an answer that is packed, though nobody asked for it"
ODD = "an answer of JSON that is something else"

_DENIED = "1 error occurred:\n\t* permission denied\n\n"
INVALID = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"
"""What Vault says of a token that it does not know."""
INVALID_OF_OPENBAO = "permission denied"
_DEFAULT = """
path "auth/token/*-self" { capabilities = ["read", "update"] }
path "sys/internal/ui/mounts" { capabilities = ["read"] }
"""
_CAPABILITIES = {"GET": "read", "LIST": "list", "DELETE": "delete", "POST": "update", "PUT": "update"}


class Fault(NamedTuple):
    """What goes wrong with one call: a status, or one of the words above."""

    what: int | str
    text: str = ""


class Token:
    """Whose policies apply, and until when."""

    def __init__(self, policies: Sequence[str], ttl: float = 0.0, *, renewable: bool = True) -> None:
        self.policies = list(policies)
        self.ttl, self.renewable = ttl, renewable
        self.ends = time.monotonic() + ttl if ttl else float("inf")


class Emulator(Serving):
    """The server, with everything that a test may want to change about it.

    `calls` counts requests by operation, `encrypt`, `login` or `lookup-self`, say; `tokens_seen` has the tokens that
    came in; `latency` is in seconds. `hang` is how long HANG waits.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, latency: float = 0.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.latency, self.hang = latency, 30.0
        self.keys: dict[str, dict[str, Key]] = {"transit": {}}
        self.policies: dict[str, str] = {"default": _DEFAULT}
        self.tokens: dict[str, Token] = {ROOT: Token(["root"])}
        self.auth: dict[str, dict[str, Any]] = {}
        self.invalid = INVALID
        self.namespaces: set[str] = set()
        """Each with a slash at its end."""
        self.healed = threading.Event()
        self.is_sealed = False
        self.sent = 0
        """Of ENDLESS answers, in MiB."""
        self.standby_of = ""
        """The URL of the active server, to which every caller is sent."""
        self.calls: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.tokens_seen: set[str] = set()
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        """The path and parameters of every call, without plaintexts."""
        self.client_names: set[str] = set()
        """By whose certificates callers came."""
        self.headers: dict[str, str] = {}
        """Of the latest call."""
        self._every: dict[int, Fault] = {}
        self._next: deque[Fault] = deque()
        self.lock = threading.RLock()
        self._server = Server((host, port), type("Handler", (_Handler,), {"vault": self}))
        self._tls = bool(tls)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    def token(self, policies: Sequence[str]) -> str:
        """A new one, with these policies and without an end."""
        return str(self._new_token(policies, 0)["auth"]["client_token"])

    def create_key(
        self, name: str, type_: str = "aes256-gcm96", mount: str = "transit", *, derived: bool = False
    ) -> Key:
        key = Key(type_, derived=derived)
        self.keys.setdefault(mount, {})[name] = key
        return key

    def fail(self, what: int | str, text: str = "", *, times: int = 1) -> None:
        """The next calls go wrong."""
        self._next.extend([Fault(what, f"{text} {SECRET_TEXT}")] * times)

    def fail_every(self, nth: int, what: int | str) -> None:
        self._every[nth] = Fault(what, SECRET_TEXT)

    def heal(self) -> None:
        """Nothing goes wrong any more, and who hangs is let go."""
        self._next.clear()
        self.healed.set()

    def fault(self, operation: str) -> Fault:
        """Counts a call; what is to go wrong with it."""
        with self.lock:
            self.calls[operation] += 1
            if self._next:
                return self._next.popleft()
            total = self.calls.total()
            return next((fault for nth, fault in self._every.items() if total % nth == 0), Fault(""))

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        """What Vault answers. Raises VaultError."""
        if self.standby_of:
            raise VaultError(307, "", f"{self.standby_of}/v1/{path}")
        if path == "sys/unseal":
            self.is_sealed = False
            return {"sealed": False}
        if self.is_sealed:
            raise VaultError(503, "Vault is sealed")
        login = re.fullmatch(r"(?:[^/]+/)*?auth/([^/]+)/login", path)
        if login:
            return self._login(path.removesuffix("/login"), body)
        found = self.tokens.get(token)
        if not found or found.ends < time.monotonic():
            raise VaultError(403, self.invalid)
        self._allow(found, method, path)
        return self._answer(method, path, body, token)

    def _allow(self, token: Token, method: str, path: str) -> None:
        wanted = _CAPABILITIES[method]
        operation = path.rpartition("/")[0].rpartition("/")
        if operation[2] == "encrypt" and path.rpartition("/")[2] not in self.keys.get(operation[0], {}):
            wanted = "create"
        for name in (f"{self._namespace(path)}default", *token.policies):
            if name == "root":
                return
            within = name[: name.rfind("/") + 1]
            rules = self.policies.get("default" if name.endswith("default") else name, "")
            for pattern, words in re.findall(r'path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]', rules):
                shape = "".join(
                    r"[^/]+" if part == "+" else ".*" if part == "*" else re.escape(part)
                    for part in re.split(r"([+*])", within + pattern)
                )
                if re.fullmatch(shape, path) and wanted in re.findall(r'"(\w+)"', words):
                    return
        raise VaultError(403, _DENIED)

    def _namespace(self, path: str) -> str:
        """The namespace that a path is in, with a slash at its end; "" for the root one."""
        return next((one for one in self.namespaces if path.startswith(one)), "")

    def _answer(self, method: str, path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
        within = self._namespace(path)
        if path.endswith("sys/internal/ui/mounts"):
            mounts = [f"{mount.removeprefix(within)}/" for mount in self.keys if mount.startswith(within)]
            return {"data": {"secret": {mount: {"type": "transit"} for mount in mounts}, "auth": {}}}
        if path.removeprefix(within).startswith(("sys/", "auth/token/")) or re.match(r"(?:[^/]+/)*?auth/", path):
            return self._administered(method, path, body, token)
        for mount in sorted(self.keys, key=len, reverse=True):
            if path.startswith(f"{mount}/"):
                return self._transit(method, mount, path.removeprefix(f"{mount}/"), body)
        raise VaultError(404, f'no handler for route "{path}". route entry not found.')

    def _administered(self, method: str, path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
        within = self._namespace(path)
        words = path.removeprefix(within).split("/")
        if path == "sys/seal":
            self.is_sealed = True
        elif words[:2] == ["sys", "namespaces"]:
            self.namespaces.add(f"{words[2]}/")
        elif words[:2] == ["sys", "mounts"]:
            self.keys.setdefault(within + "/".join(words[2:]), {})
        elif words[:2] == ["sys", "policies"]:
            self.policies[within + words[3]] = body["policy"]
        elif words[:2] == ["sys", "auth"]:
            mount = {"type": body["type"], "roles": {}, "config": {}, "secrets": {}}
            self.auth[f"{within}auth/{words[2]}"] = mount
        elif words[:2] == ["auth", "token"]:
            return self._token(words[2], body, token, within)
        else:
            return self._auth(method, path, body)
        return {}

    def _token(self, operation: str, body: dict[str, Any], token: str, within: str) -> dict[str, Any]:
        if operation == "create":
            policies = [within + name for name in body.get("policies", ["root"])]
            return self._new_token(policies, _seconds(body.get("ttl", 0)))
        found = self.tokens[token]
        if operation == "renew-self":
            if not found.renewable:
                raise VaultError(400, "lease is not renewable")
            found.ends = time.monotonic() + found.ttl
            return _auth(token, found)
        if operation == "revoke-self":
            del self.tokens[token]
            return {}
        return {"data": {"policies": found.policies}}

    def _new_token(self, policies: Sequence[str], ttl: float, *, renewable: bool = True) -> dict[str, Any]:
        text, token = f"hvs.{secrets.token_urlsafe(18)}", Token(policies, ttl, renewable=renewable)
        self.tokens[text] = token
        return _auth(text, token)

    def _auth(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        match = re.fullmatch(r"((?:[^/]+/)*?auth/[^/]+)/(config|role)(?:/([^/]+)(?:/(role-id|secret-id))?)?", path)
        if not match or match[1] not in self.auth:
            raise VaultError(404, f'no handler for route "{path}". route entry not found.')
        mount = self.auth[match[1]]
        if match[2] == "config":
            mount["config"] = body
        elif match[4] == "role-id":
            return {"data": {"role_id": mount["roles"][match[3]]["role_id"]}}
        elif match[4] == "secret-id":
            secret, role = secrets.token_urlsafe(18), mount["roles"][match[3]]
            mount["secrets"][secret] = [match[3], role.get("secret_id_num_uses", 0)]
            return {"data": {"secret_id": secret}}
        else:
            mount["roles"][match[3]] = {"role_id": secrets.token_urlsafe(18), **body}
        return {}

    def _login(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        mount = self.auth.get(path)
        if not mount:
            raise VaultError(404, f'no handler for route "{path}/login". route entry not found.')
        role = self._by_secret(mount, body) if mount["type"] == "approle" else _by_jwt(mount, body)
        policies = [self._namespace(path) + name for name in role.get("token_policies", [])]
        return self._new_token(policies, _seconds(role.get("token_ttl", 3600)), renewable=role.get("renewable", True))

    def _by_secret(self, mount: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        for name, role in mount["roles"].items():
            if role["role_id"] == body.get("role_id"):
                if not role.get("bind_secret_id", True):
                    return dict(role)
                known = mount["secrets"].get(body.get("secret_id", ""))
                if known and known[0] == name:
                    known[1] -= 1
                    if known[1] == 0:
                        del mount["secrets"][body["secret_id"]]
                    return dict(role)
                raise VaultError(400, "invalid role or secret ID")
        raise VaultError(400, "invalid role or secret ID")

    def _transit(self, method: str, mount: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        keys = self.keys[mount]
        operation, _, rest = path.partition("/")
        name, _, what = rest.partition("/")
        if operation == "keys":
            return self._of_keys(method, keys, name, what, body)
        if operation not in ("encrypt", "decrypt", "rewrap") or method not in ("POST", "PUT"):
            raise VaultError(405, "unsupported operation")
        if operation == "encrypt" and name not in keys:  # whoever may create, does by that
            keys[name] = Key()
        key = keys.get(name)
        if not key:
            raise VaultError(400, "encryption key not found")
        if operation == "encrypt":
            return {"data": {"ciphertext": key.encrypt(body), "key_version": key.latest}}
        if operation == "decrypt":
            return {"data": {"plaintext": b64encode(key.decrypt(body)).decode()}}
        plain = key.decrypt({"ciphertext": body["ciphertext"]})  # associated data is passed over, as Vault does
        fresh = key.encrypt({"plaintext": b64encode(plain).decode()})
        return {"data": {"ciphertext": fresh, "key_version": key.latest}}

    def _of_keys(self, method: str, keys: dict[str, Key], name: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
        if method == "LIST":
            if not keys:
                raise VaultError(404)
            return {"data": {"keys": sorted(keys)}}
        if what == "config":
            keys[name].config |= {field: body[field] for field in keys[name].config if field in body}
        elif what == "rotate":
            keys[name].rotate()
        elif method == "GET":
            if name not in keys:
                raise VaultError(404)
            return {"data": keys[name].told(name)}
        elif method == "DELETE":
            if not keys[name].config["deletion_allowed"]:
                raise VaultError(400, "error deleting policy: deletion is not allowed for this key")
            del keys[name]
        else:
            keys.setdefault(name, Key(body.get("type", "aes256-gcm96"), derived=body.get("derived", False)))
        return {}


def _auth(text: str, token: Token) -> dict[str, Any]:
    return {"auth": {"client_token": text, "lease_duration": int(token.ttl), "renewable": token.renewable}}


def _seconds(text: Any) -> float:
    """Of a number, or of one with its unit."""
    number, unit = str(text).rstrip("smh"), str(text)[-1:]
    return float(number or 0) * {"m": 60, "h": 3600}.get(unit, 1)


def _by_jwt(mount: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The role that a JWT is good for: of a job of CI's (jwt), or of a pod (kubernetes)."""
    import jwt

    role = mount["roles"].get(body.get("role"))
    if not role:
        raise VaultError(400, f"invalid role name {json.dumps(body.get('role'))}")
    config, audience = mount["config"], role.get("bound_audiences") or role.get("audience")
    keys = config.get("jwt_validation_pubkeys") or config.get("pem_keys")
    try:
        claims = jwt.decode(
            body["jwt"], keys[0], ["RS256", "ES256"], audience=audience, issuer=config.get("bound_issuer")
        )
        for name, wanted in role.get("bound_claims", {}).items():
            if claims.get(name) != wanted:
                raise VaultError(400, f'error validating claims: claim "{name}" does not match')
    except jwt.PyJWTError:
        raise VaultError(400 if mount["type"] == "jwt" else 403, "error validating token: …") from None
    if mount["type"] == "kubernetes":
        _, _, namespace, account = claims["sub"].split(":")
        if (
            account not in role["bound_service_account_names"]
            or namespace not in role["bound_service_account_namespaces"]
        ):
            raise VaultError(403, "service account name not authorized")
    return dict(role)


class _Handler(Handler):
    vault: Emulator

    def handle(self) -> None:
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.do_handshake()
            subject = (self.connection.getpeercert() or {}).get("subject", ())
            self.vault.client_names |= {str(value) for part in subject for name, value in part if name == "commonName"}
        super().handle()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        method = "LIST" if parse_qs(parts.query).get("list") == ["true"] else self.command
        path = parts.path.removeprefix("/v1/").rstrip("/")
        body = json.loads(self.asked() or b"{}")
        namespace = self.headers.get("X-Vault-Namespace", "").strip("/")
        path = f"{namespace}/{path}" if namespace else path
        token = self.headers.get("X-Vault-Token", "")
        operation = next(
            (word for word in ("encrypt", "decrypt", "rewrap", "login") if word in path.split("/")),
            path.rpartition("/")[2],
        )
        with self.vault.lock:
            self.vault.tokens_seen.add(token)
            self.vault.headers = dict(self.headers)
            self.vault.bodies.append((path, {name: text for name, text in body.items() if name != "plaintext"}))
        fault = self.vault.fault(operation)
        if fault.what in (DROP, HANG):
            self.vault.healed.wait(self.vault.hang if fault.what == HANG else 0)
            self.drop()
            return
        if fault.what == DRIP:
            self.drip()
            return
        if fault.what in (ENDLESS, PACKED):
            self._send_on(fault.what)
            return
        try:
            if isinstance(fault.what, int):
                raise VaultError(fault.what, fault.text)
            with self.vault.lock:
                answer = self.vault.answer(method, path, token, body)
                self.vault.answered[operation] += 1
            odd = {GARBAGE: b"<html>no JSON</html>", ODD: b'["x"]', DEEP: b"[" * 200_000}
            said = odd.get(str(fault.what), json.dumps(answer).encode())
            self.wait(self.vault.latency)
            self.answer(200 if answer else 204, said if answer else b"")
        except VaultError as error:
            self.wait(self.vault.latency)
            where = {"Location": error.location} if error.location else {}
            self.answer(error.status, {"errors": [error.text] if error.text else []}, where)

    do_POST = do_PUT = do_DELETE = do_LIST = do_GET

    def _send_on(self, what: str) -> None:
        """As much as the client takes, at most 64 MiB; or a few bytes that stand for more."""
        self.close_connection = True
        self.send_response_only(200)
        if what == PACKED:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with suppress(OSError):
            for _ in range(1 if what == PACKED else 64):
                self.wfile.write(gzip.compress(bytes(100_000)) if what == PACKED else bytes(1024 * 1024))
                self.vault.sent += 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.vault", description="A Vault emulator.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; 0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each call takes at least")
    parser.add_argument("--key", action="append", default=[], help="MOUNT/keys/NAME; repeat for more")
    options = parser.parse_args(arguments)
    with Emulator(host=options.host, port=options.port, latency=options.latency) as emulator:
        for path in options.key:
            mount, _, name = path.rpartition("/keys/")
            emulator.create_key(name, mount=mount)
        print(f"export VAULT_ADDR={emulator.url}\nexport VAULT_TOKEN={ROOT}", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
