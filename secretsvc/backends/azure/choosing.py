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
        for item in answer.get("value") or ():
            if not (item.get("attributes") or {}).get("enabled", True):
                continue
            try:
                yield Offer(SCHEME.parse(str(item.get("kid"))), "")
            except KeyRefError:
                continue
        following = urlsplit(str(answer.get("nextLink") or ""))
        if not following.query:  # only the query is taken: the host stays the one that was asked
            return
        path = f"/keys?{following.query}"
