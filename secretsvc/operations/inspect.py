"""What a sealed manifest tells without a key."""

from __future__ import annotations

import calendar
import time
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import formats
from secretsvc.formats.ksecret import envelope as ksecret
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.nodes import MOST_NODES
from secretsvc.manifest.reader import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.manifest.model import Manifest, Secret


class Description(NamedTuple):
    """One Secret. Nothing here was checked against the seal."""

    namespace: str | None
    name: str | None
    type: str
    line: int
    sealed: bool
    format: str
    sealed_for: str
    created: str
    age_days: int | None
    keys: list[dict[str, str]]
    """`ref`, and `owner` where this machine knows one."""
    entries: dict[str, list[str]]
    """Entry names by field."""
    in_the_clear: list[str]
    """Entries without a token in a sealed Secret, as `field/key`."""
    format_name: str = ""
    """By which `--format` and policies know it; empty where it is not sealed."""

    @property
    def bound(self) -> bool:
        """Whether it opens, if it is sealed, under its own namespace and name only."""
        return formats.named(self.format_name).binds

    @property
    def proves_values(self) -> bool:
        """Whether its proof is over values, so that one that fits tells them."""
        return formats.named(self.format_name).proves_values

    @property
    def label(self) -> str:
        """As messages name it: `prod/db-auth`, or the line where it has no name."""
        name = self.name or f"the Secret at line {self.line}"
        return f"{self.namespace}/{name}" if self.namespace else name

    def as_json(self) -> dict[str, object]:
        """The same under the names of the envelope and of JSON: `sealedFor`, `ageDays`, `inTheClear`."""
        return {_camel(name): value for name, value in self._asdict().items() if name != "format_name"}


def describe_manifest(data: bytes, owner: Callable[[str], str], most_nodes: int = MOST_NODES) -> list[Description]:
    """Every Secret of the manifest, sealed or not. `owner` names the holder of a KeyRef.

    Raises InputError, AlteredError.
    """
    manifest = read(data, most_nodes=most_nodes)
    if manifest.is_kubesec:
        return [_describe_kubesec(manifest, owner)]
    return [_describe(secret, owner) for secret in manifest.secrets]


def _describe_kubesec(manifest: Manifest, owner: Callable[[str], str]) -> Description:
    from secretsvc.formats.kubesec import envelope as kubesec

    secret, envelope = kubesec.read(manifest)
    clear = [f"{entry.field}/{entry.key}" for entry in secret.entries if not kubesec.is_token(entry)]
    keys = [{"ref": str(ref), "owner": owner(str(ref))} for ref in envelope.refs]
    return Description(
        *(secret.namespace, secret.name, secret.type, secret.line),
        sealed=True,
        format=f"kubesec v{envelope.version}{'' if envelope.mac else ', no MAC'}",
        sealed_for="",
        created="",
        age_days=None,
        keys=keys,
        entries=_names(secret),
        in_the_clear=clear,
        format_name="kubesec",
    )


def _names(secret: Secret) -> dict[str, list[str]]:
    return {field: [entry.key for entry in secret.entries if entry.field == field] for field in FIELDS}


def _describe(secret: Secret, owner: Callable[[str], str]) -> Description:
    envelope = ksecret.read(secret.envelope) if secret.envelope else None
    clear = [f"{entry.field}/{entry.key}" for entry in secret.entries if not ksecret.is_token(entry)]
    return Description(
        secret.namespace,
        secret.name,
        secret.type,
        secret.line,
        envelope is not None,
        "ksecret v1" if envelope else "",
        envelope.sealed_for if envelope else "",
        envelope.created if envelope else "",
        _age_days(envelope.created) if envelope else None,
        [{"ref": ref, "owner": owner(ref)} for ref in envelope.keys] if envelope else [],
        _names(secret),
        clear,
        "ksecret" if envelope else "",
    )


def _age_days(created: str) -> int | None:
    """Whole days since then; None for a text that is not a time of this format."""
    try:
        return int(time.time() - calendar.timegm(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ"))) // 86400
    except ValueError:
        return None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
