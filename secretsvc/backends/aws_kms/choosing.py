"""The keys that the caller's AWS credentials can list, for a person to choose one (AWS KMS API: ListKeys, ListAliases,
DescribeKey). Off the path of opening and sealing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from secretsvc.backends.aws_kms import SCHEME
from secretsvc.backends.offers import MOST_OFFERS, Offer
from secretsvc.errors import BackendError, BackendUnavailableError, KeyRefError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from secretsvc.backends.aws_kms.client import Connection

_PAGE = 100
_MOST_PAGES = 20


def offers(connection: Connection, region: str) -> list[Offer]:
    """Return the symmetric keys of one's own in a region, those with aliases first.

    Raises BackendError and BackendUnavailableError.
    """
    aliases: dict[str, list[str]] = {}
    for alias in _all(connection, region, "list_aliases", "Aliases"):
        home, _, name = alias["AliasArn"].partition(":alias/")
        if "TargetKeyId" in alias and not name.startswith("aws/"):
            aliases.setdefault(f"{home}:key/{alias['TargetKeyId']}", []).append(f"alias/{name}")
    try:
        arns = [key["KeyArn"] for key in _all(connection, region, "list_keys", "Keys")]
    except BackendUnavailableError:
        raise
    except BackendError:  # who may list aliases alone chooses among these
        arns = []
    arns = list(dict.fromkeys([*aliases, *arns]))[: 2 * MOST_OFFERS]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda arn: _offer(connection, region, arn, aliases.get(arn, [])), arns))
    return [offer for offer in found if offer][:MOST_OFFERS]


def _all(connection: Connection, region: str, operation: str, wanted: str) -> Iterator[dict[str, Any]]:
    parameters: dict[str, Any] = {"Limit": _PAGE}
    for _ in range(_MOST_PAGES):
        answer = connection.send(region, operation, parameters)
        yield from answer.get(wanted, ())
        if not answer.get("Truncated"):
            return
        parameters["Marker"] = answer["NextMarker"]


def _offer(connection: Connection, region: str, arn: str, aliases: list[str]) -> Offer | None:
    """Return what to say of a key, as far as it may be described; None for one that wraps nothing, or is AWS's own."""
    about = {}
    try:
        about = connection.send(region, "describe_key", {"KeyId": arn})["KeyMetadata"]
    except BackendUnavailableError:
        raise
    except BackendError:
        pass
    fits = about.get("KeyUsage", "ENCRYPT_DECRYPT") == "ENCRYPT_DECRYPT" and about.get("KeyManager") != "AWS"
    fits = fits and about.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT" and about.get("Enabled", True)
    try:
        ref = SCHEME.parse(arn)
    except KeyRefError:
        return None
    return Offer(ref, ", ".join([*aliases, *filter(None, [about.get("Description", "")])])) if fits else None
