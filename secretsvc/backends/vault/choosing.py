"""The keys of Transit that the caller's token can list, for a person to choose one (Vault API: sys/internal/ui/mounts,
which has the mounts that a token may use, and Transit's "List keys" and "Read key"). Off the path of opening and
sealing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from secretsvc.backends.offers import MOST_OFFERS, Offer
from secretsvc.backends.vault import SCHEME
from secretsvc.backends.vault.errors import VaultCall
from secretsvc.errors import BackendError, BackendUnavailableError, KeyRefError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from secretsvc.backends.vault.client import Connection
    from secretsvc.keyref import KeyRef


def offers(connection: Connection, namespace: str) -> list[Offer]:
    """Return the keys of a server that encrypt and are not derived, in a namespace, or in the root one ("").

    Raises BackendError and BackendUnavailableError.
    """
    before = f"{namespace}/" if namespace else ""
    call = VaultCall("read", connection.host, f"{before}sys/internal/ui/mounts", "")
    told = connection.send(call, lambda client: client.adapter.get(f"/v1/{before}sys/internal/ui/mounts"))
    mounts = _mapping(_mapping(told, "data"), "secret")
    engines = [f"{before}{path.strip('/')}" for path in mounts if _mapping(mounts, path).get("type") == "transit"]
    refs = list(islice((ref for mount in sorted(engines) for ref in _of(connection, mount)), MOST_OFFERS))
    with ThreadPoolExecutor(16) as pool:
        return [offer for offer in pool.map(lambda ref: _offer(connection, ref), refs) if offer]


def _of(connection: Connection, mount: str) -> Iterator[KeyRef]:
    """Yield the keys of one engine; none where they may not be listed, or there are none."""
    try:
        listed = connection.send(
            VaultCall("list", connection.host, mount, ""),
            lambda client: client.secrets.transit.list_keys(mount_point=mount),
        )
    except BackendUnavailableError:
        raise
    except (BackendError, KeyRefError):
        return
    names = _mapping(listed, "data").get("keys")
    for name in names if isinstance(names, list) else ():
        try:
            yield SCHEME.parse(f"{connection.address}/v1/{mount}/keys/{name}")
        except KeyRefError:
            continue


def _offer(connection: Connection, ref: KeyRef) -> Offer | None:
    """Return what to say of a key, as far as it may be read; None for one that wraps nothing."""
    mount, _, name = ref.id.partition("/v1/")[2].rpartition("/keys/")
    about: dict[str, Any] = {}
    try:
        told = connection.send(
            VaultCall("read", connection.host, mount, name),
            lambda client: client.secrets.transit.read_key(name=name, mount_point=mount),
        )
        about = _mapping(told, "data")
    except BackendUnavailableError:
        raise
    except (BackendError, KeyRefError):
        pass
    if not about.get("supports_encryption", True) or about.get("derived"):
        return None
    version = about.get("latest_version")
    return Offer(ref, f"{about.get('type', '')}, version {version}" if version else "")


def _mapping(answer: object, name: str) -> dict[str, Any]:
    """Return a member of an answer that is a mapping; an empty one where there is none: an answer may be anything."""
    found = answer.get(name) if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}
