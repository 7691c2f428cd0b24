"""The keys that the caller's Azure credentials can list, for a person to choose one (Azure Key Vault REST API: Get
Keys). Off the path of opening and sealing.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from secretsvc.backends.azure import SCHEME, errors
from secretsvc.backends.offers import MOST_OFFERS, Offer
from secretsvc.errors import KeyRefError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.backends.azure.client import Connection

_MOST_PAGES = 20


def offers(connection: Connection) -> list[Offer]:
    """Return the enabled keys of the vaults that KSECRET_AZURE_ADDRESSES names, without a version.

    Raises BackendError and BackendUnavailableError.
    """
    if not connection.hosts:
        raise errors.no_vault()
    return [offer for host in connection.hosts for offer in _of(connection, host)][:MOST_OFFERS]


def _of(connection: Connection, host: str) -> Iterator[Offer]:
    path = "/keys"
    for _ in range(_MOST_PAGES):
        answer = connection.ask(host, "list", path)
        listed = answer.get("value")
        for item in filter(_is_enabled, listed if isinstance(listed, list) else ()):
            try:
                ref = SCHEME.parse(str(item.get("kid")))
            except KeyRefError:
                continue
            if SCHEME.home(ref) == host:
                yield Offer(ref, "")
        try:
            following = urlsplit(str(answer.get("nextLink") or ""))
        except ValueError:
            return
        if not following.query:  # only the query is taken: the host stays the one that was asked
            return
        path = f"/keys?{following.query}"


def _is_enabled(item: object) -> bool:
    """Tell whether that is a key which may be used: an answer may be anything."""
    attributes = item.get("attributes") if isinstance(item, dict) else None
    return isinstance(item, dict) and not (isinstance(attributes, dict) and attributes.get("enabled") is False)
