"""The keys that the caller's Google Cloud credentials can list, for a person to choose one (Cloud KMS API:
projects.locations.list, keyRings.list, cryptoKeys.list). Off the path of opening and sealing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from secretsvc.backends.gcp_kms import SCHEME
from secretsvc.backends.offers import MOST_OFFERS, Offer
from secretsvc.errors import BackendError, BackendUnavailableError, KeyRefError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.backends.gcp_kms.client import Connection

_MOST_RINGS = 1000


def offers(connection: Connection, project: str) -> list[Offer]:
    """Return the symmetric keys of a project that have an enabled primary version. Raises BackendError."""
    answer = connection.send("list_locations", {"name": f"projects/{project}"}, "global")
    locations = [location.location_id for location in answer.locations]
    with ThreadPoolExecutor(16) as pool:
        found = pool.map(lambda location: list(_of(connection, project, location)), locations)
        return [offer for offers in found for offer in offers][:MOST_OFFERS]


def _of(connection: Connection, project: str, location: str) -> Iterator[Offer]:
    """Return the keys of one location; none where it may not be looked at."""
    try:
        rings = connection.send("list_key_rings", {"parent": f"projects/{project}/locations/{location}"}, location)
        for ring in islice(rings, _MOST_RINGS):
            keys = connection.send("list_crypto_keys", {"parent": ring.name}, location)
            for key in islice(keys, MOST_OFFERS):
                if key.purpose.name == "ENCRYPT_DECRYPT" and key.primary.state.name == "ENABLED":
                    yield Offer(SCHEME.parse(key.name), key.primary.protection_level.name.lower())
    except BackendUnavailableError:
        raise
    except (BackendError, KeyRefError):
        return
