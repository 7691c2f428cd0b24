"""Keys of the Transit engine of HashiCorp Vault or OpenBao as KEKs: what is known of them without their library."""

from __future__ import annotations

import os

from secretsvc.backends.base import Installed, Scheme, library
from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyRef
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.backends.base import Settings
    from secretsvc.backends.vault.backend import Vault

# Vault's HTTP API has everything under /v1/; namespaces and mounts are segments of the path, and a key of Transit is
# named as sdk/framework's GenericNameRegex has it. No segment may be one that URLs resolve (RFC 3986, 5.2.4).
_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.~-]{1,128}"
_PATH = pattern(rf"((?:{_SEGMENT}/)*{_SEGMENT})/keys/([A-Za-z0-9_](?:[A-Za-z0-9_.-]{{0,126}}[A-Za-z0-9_])?)")
_ADDRESS = pattern(
    r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?)(?::([1-9][0-9]{0,4}))?"
)
"""In lower case."""
_VERSION = pattern(rb"vault:v([0-9]{1,9}):")
_PORTS = {"http": "80", "https": "443"}
_VARIABLES = ("VAULT_", "BAO_", "KSECRET_VAULT_", "SSL_CERT_FILE", "HOME")
_FORM = "vault:https://HOST:8200/v1/MOUNT/keys/NAME"


class VaultScheme(Scheme):
    """Keys of Transit, named by where their server has them: address, namespace, mount and name."""

    name, title, example = "vault", "Vault Transit", "https://…/v1/transit/keys/NAME"
    cost = 250
    names_owners = False
    sops_list, sops_flat, sops_option = "hc_vault", "hc_vault_transit_uri", "hc-vault-transit"
    sops_variable = "SOPS_VAULT_URIS"

    def backend(self, settings: Settings) -> Vault:
        from secretsvc.backends.vault.backend import Vault

        return Vault(settings)

    def parse(self, text: str) -> KeyRef:
        """A key's URL in the API, `https://HOST:8200/v1/MOUNT/keys/NAME`, its host in lower case.

        `MOUNT/keys/NAME` is a key of the server that VAULT_ADDR names, in the namespace of VAULT_NAMESPACE.
        """
        written = text.strip()
        if "://" not in written and _PATH.fullmatch(written):
            environ = VaultEnvironment(os.environ)
            namespace = setting(environ, "NAMESPACE").strip("/")
            written = f"{_default_address(environ)}/v1/{f'{namespace}/' if namespace else ''}{written}"
        server, behind, path = written.partition("/v1/")
        found = canonical_address(server) if behind else ""
        if found and _PATH.fullmatch(path):
            return KeyRef(self.name, f"{found}/v1/{path}")
        raise KeyRefError(
            "that is not the address of a key of Vault's Transit engine",
            hint=f"give {_FORM}, with the namespace, if any, before the mount; or vault:MOUNT/keys/NAME where "
            "VAULT_ADDR is set; `vault list transit/keys` shows the names",
        )

    def is_bare(self, text: str) -> bool:
        return text.startswith(("https://", "http://")) and "/v1/" in text and "/keys/" in text

    def home(self, ref: KeyRef) -> str:
        """HOST or HOST:PORT of the key's server."""
        return ref.id.partition("/v1/")[0].rpartition("://")[2]

    def version(self, wrapped: bytes) -> str:
        """Of `vault:v3:…`, 3."""
        match = _VERSION.match(wrapped)
        return match[1].decode() if match else ""

    def installed(self) -> Installed:
        return library("hvac", "vault")


SCHEME = VaultScheme()


class TransitKey(Record):
    """A key of Transit, by where it is."""

    address: str
    """Of its server, as `https://vault.example.org:8200`."""
    mount: str
    """Its engine's path, behind those of its namespaces."""
    name: str


def key_of(ref: KeyRef) -> TransitKey:
    """Return the parts of a canonical KeyRef."""
    address, _, path = ref.id.partition("/v1/")
    mount, name = path.rsplit("/keys/", 1)
    return TransitKey(address, mount, name)


def canonical_address(text: str) -> str:
    """Return a server's address in lower case, without a slash at its end and the scheme's own port; "" for none."""
    match = _ADDRESS.fullmatch(text.strip().rstrip("/").lower())
    if not match:
        return ""
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + (f":{port}" if port and port != _PORTS[scheme] else "")


class VaultEnvironment:
    """What the environment says that concerns Vault, credentials too, so it is masked."""

    __slots__ = ("_told",)

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._told = {name: text for name, text in environ.items() if name.startswith(_VARIABLES)}

    def get(self, name: str) -> str:
        """Return what a variable says; "" where it is not set."""
        return self._told.get(name, "")

    def __repr__(self) -> str:
        return "VaultEnvironment(masked)"


def setting(environ: VaultEnvironment, name: str) -> str:
    """Return OpenBao's variable, BAO_name, or Vault's, VAULT_name; "" where neither is set."""
    return (environ.get(f"BAO_{name}") or environ.get(f"VAULT_{name}")).strip()


def _default_address(environ: VaultEnvironment) -> str:
    """Return the server that the environment names. Raises KeyRefError."""
    named = setting(environ, "ADDR")
    found = canonical_address(named)
    if found:
        return found
    if named:
        raise KeyRefError("VAULT_ADDR is not the address of a server", hint="give https://HOST:PORT, without a path")
    raise KeyRefError("that names no server, and VAULT_ADDR is not set", hint=f"set it, or give {_FORM}")
