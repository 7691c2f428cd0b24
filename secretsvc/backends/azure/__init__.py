"""Keys of Azure Key Vault and Managed HSM as KEKs: what is known of them without Microsoft's SDK."""

from __future__ import annotations

from secretsvc.backends.base import Installed, Scheme, library
from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyRef
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.azure.backend import AzureKeyVault
    from secretsvc.backends.base import Settings

DOMAINS = (
    *("vault.azure.net", "managedhsm.azure.net"),
    *("vault.azure.cn", "managedhsm.azure.cn"),
    *("vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net"),
)
"""Whose hosts are Microsoft's, in its public cloud, in China and for the US government: "Azure Key Vault keys, secrets
and certificates overview", "Vault and Managed HSM DNS suffixes"."""

_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){0,7}(?::[0-9]{1,5})?"
# The same page, "Object identifiers": names of keys have letters, digits and dashes, versions are 32 hex digits.
_KEY = pattern(rf"https://(?P<host>{_HOST})/keys/(?P<name>[0-9A-Za-z-]{{1,127}})(?:/(?P<version>[0-9a-f]{{32}}))?")
_OTHER = pattern(r"https://[^/]*/(?:secrets|certificates)/")
_FORM = "azure:https://NAME.vault.azure.net/keys/KEY/VERSION"
_HINT = f"give {_FORM}, or leave /VERSION off for the newest; `az keyvault key show --query key.kid` shows it"


class AzureKey:
    """The parts of a key's identifier."""

    __slots__ = ("host", "name", "version")

    def __init__(self, host: str, name: str, version: str) -> None:
        self.host = host
        """HOST, or HOST:PORT where the port is not that of HTTPS."""
        self.name = name
        self.version = version
        """Empty where the identifier names none."""

    @property
    def path(self) -> str:
        """Its path at the host, with the version where there is one."""
        return f"/keys/{self.name}/{self.version}" if self.version else f"/keys/{self.name}"


class AzureScheme(Scheme):
    """Keys of Azure Key Vault and Managed HSM, named by their identifiers."""

    name, title, example = "azure", "Azure Key Vault", "https://NAME.vault.azure.net/keys/KEY"
    cost = 400
    names_owners = False
    sops_list, sops_flat, sops_group = "azure_kv", "azure_keyvault", "azure_keyvault"
    sops_field, sops_variable = "vaultUrl", "SOPS_AZURE_KEYVAULT_URLS"

    def backend(self, settings: Settings) -> AzureKeyVault:
        from secretsvc.backends.azure.backend import AzureKeyVault

        return AzureKeyVault(settings)

    def parse(self, text: str) -> KeyRef:
        """A key's identifier, with its version or without: host and version in small letters, no port 443."""
        head, keys, rest = text.strip().partition("/keys/")
        name, slash, version = rest.partition("/")
        identifier = f"{head.lower().removesuffix(':443')}{keys}{name}{slash}{version.lower()}".removesuffix("/")
        key_of(identifier)
        return KeyRef(self.name, identifier)

    def is_bare(self, text: str) -> bool:
        match = _KEY.match(text.lower())
        return bool(match and is_of_azure(match["host"]))

    def leaves_version(self, ref: KeyRef) -> bool:
        return not key_of(ref.id).version

    def unversioned(self, ref: KeyRef) -> KeyRef:
        named, _, _ = ref.id.rpartition("/")
        return KeyRef(self.name, named) if named.rpartition("/")[0].endswith("/keys") else ref

    def home(self, ref: KeyRef) -> str:
        """The vault's or HSM's host."""
        fields = ref.id.split("/")
        return fields[2] if len(fields) > 2 else ""

    def sops_entry(self, ref: KeyRef) -> dict[str, str]:
        key = key_of(ref.id)
        fields = {"vaultUrl": f"https://{key.host}", "key": key.name, "version": key.version}
        return {name: text for name, text in fields.items() if text}

    def installed(self) -> Installed:
        return library("azure.keyvault.keys", "azure")


SCHEME = AzureScheme()


def key_of(identifier: str) -> AzureKey:
    """Return the parts of a key's identifier in its canonical form. Raises KeyRefError."""
    match = _KEY.fullmatch(identifier)
    if match and not match["host"].endswith(":443"):
        return AzureKey(match["host"], match["name"], match["version"] or "")
    if identifier.startswith("http:"):
        raise KeyRefError("a key of Azure Key Vault is reached over TLS only: its name begins with https:", hint=_HINT)
    if _OTHER.match(identifier):
        raise KeyRefError("that is a secret or a certificate of Azure Key Vault, not a key", hint=_HINT)
    raise KeyRefError("that is not the identifier of a key in Azure Key Vault or a Managed HSM", hint=_HINT)


def is_of_azure(host: str) -> bool:
    """Tell whether a host is one that only Microsoft answers for: a name right under one of its domains."""
    label, _, domain = host.partition(".")
    return domain in DOMAINS and bool(label)
