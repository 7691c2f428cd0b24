"""Three kubesec envelopes → one. The MAC is over every value, so without a key it holds only for a side as it was."""

from __future__ import annotations

import re

from secretsvc.backends import stated
from secretsvc.formats.base import Merges
from secretsvc.formats.kubesec.envelope import ordered
from secretsvc.formats.merge import EnvelopeLines, MergedEnvelope, UnmergeableError, home_of, merge_keys
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsvc.formats.base import Opened, Place, Sealed
    from secretsvc.formats.merge import Side
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.manifest.nodes import Member

_LINES = r"(?m)^# kubesec:[^\r\n]*(?:\r?\n# kubesec:[^\r\n]*)*"
_LINE = r"# kubesec:(v|mac|(?:pgp|gcp|aws):.+):([A-Za-z0-9+/=.]+)"


_NOTE = r"(?m)^# ksecret: CONFLICT: the MAC [^\r\n]*\r?\n(?:# [^\r\n]*\r?\n){2}(?=# kubesec:)"


class KubesecMerges(Merges):
    """The MAC is over every value, so it stays where all of them are one side's, and is to be made anew elsewhere."""

    def lines(self, manifest: Manifest, secret: Secret) -> EnvelopeLines:
        own = kubesec_sealing_of(manifest)
        return EnvelopeLines(own.start, own.end, own)

    def home(self, sides: Sequence[EnvelopeLines]) -> Side | None:
        return kubesec_home(KubesecSides(*(side.own for side in sides)))

    def envelope(
        self, sides: Sequence[EnvelopeLines], home: Side | None, values: Mapping[Place, str] | None, name: str
    ) -> MergedEnvelope:
        return merge_kubesec(KubesecSides(*(side.own for side in sides)), home, values, name)

    def mixes_data_keys(self, origins: Sequence[Secret], merged: Secret) -> bool:
        return False  # the MAC tells, and whoever opens it

    def second(self, secret: Secret) -> Member | None:
        return None

    def read_second(self, text: str, line: int) -> Sealed:
        raise NotImplementedError

    def joined(self, opened: Opened, other: Sealed, secret: Secret) -> Opened:
        return opened  # it keeps no second list

    def without_note(self, text: str) -> str:
        found = re.search(_NOTE, text)
        return text[: found.start()] + text[found.end() :] if found else text


class KubesecSealing(Record):
    """The comment lines `text[start:end]` of one version, without the last line break."""

    start: int
    end: int
    newline: str
    version: str
    keys: dict[str, str]
    """`pgp:<fingerprint>` and so on → wrapped DEK, in the lines' order."""
    mac: str
    type: str
    values: dict[Place, str]
    """(field, key) → token."""


class KubesecSides(Record):
    """The three versions."""

    base: KubesecSealing
    ours: KubesecSealing
    theirs: KubesecSealing


def kubesec_sealing_of(manifest: Manifest) -> KubesecSealing:
    """Return the envelope of a file with one Secret. Raises UnmergeableError for another layout."""
    text = manifest.text
    blocks = list(re.finditer(_LINES, text))
    if len(blocks) != 1 or len(manifest.secrets) != 1:
        raise UnmergeableError
    start, end = blocks[0].span()
    version = mac = ""
    keys = {}
    for line in blocks[0][0].splitlines():
        found = re.fullmatch(_LINE, line)
        if not found:
            raise UnmergeableError
        if found[1] == "v":
            version = found[2]
        elif found[1] == "mac":
            mac = found[2]
        else:
            keys[found[1]] = found[2]
    values = {entry.place: entry.value for entry in manifest.secrets[0].entries}
    if not (version and mac and keys):
        raise UnmergeableError
    newline = "\r\n" if "\r" in blocks[0][0] else "\n"  # ksecret and kubesec write a lone line feed here
    return KubesecSealing(start, end, newline, version, keys, mac, manifest.secrets[0].type, values)


def _same_data_key(one: KubesecSealing, other: KubesecSealing) -> bool:
    """Tell whether both have the same DEK, as far as texts tell: a wrapped DEK or a token is the same."""
    return not (one.keys.items().isdisjoint(other.keys.items()) and one.values.items().isdisjoint(other.values.items()))


def kubesec_home(sides: KubesecSides) -> Side | None:
    """Return the side with the new data key, where the sides have different ones.

    Raises UnmergeableError where that can't be answered by taking a side: both have one, or the other changed keys.
    """
    base, ours, theirs = sides
    if not base.type == ours.type == theirs.type:
        raise UnmergeableError
    if _same_data_key(ours, theirs):
        return None
    left, right = _same_data_key(ours, base), _same_data_key(theirs, base)
    loser = ours if left else theirs
    if left == right or set(loser.keys) != set(base.keys):
        raise UnmergeableError
    return home_of(left, right)


def merge_kubesec(
    sides: KubesecSides, home: Side | None, values: Mapping[Place, str] | None, name: str
) -> MergedEnvelope:
    """Return the comment lines, with a side's MAC where keys and `values` (None: in conflict) are all that side's."""
    base, ours, theirs = sides
    winner = theirs if home == "theirs" else ours
    keys = winner.keys if home else merge_keys(base.keys, ours.keys, theirs.keys)
    for side in (winner, theirs):
        if side.values == values and list(side.keys) == list(keys):
            return MergedEnvelope(_lines(side._replace(keys=dict(keys))), home, "")
    version = max(ours.version, theirs.version)
    note = (
        "# ksecret: CONFLICT: the MAC below is over other values or keys than these",
        "# Settle what else is in conflict, delete these lines, and check the values before you vouch for them:",
        f"# ksecret encrypt -i --recompute-mac {name}",
    )
    text = _lines(winner._replace(version=version, keys=_sorted(keys)), note)
    return MergedEnvelope(text, home, "the MAC fits neither side's values and keys")


def _sorted(keys: Mapping[str, str]) -> dict[str, str]:
    return {str(ref): wrapped for ref, wrapped in ordered((stated(ref), wrapped) for ref, wrapped in keys.items())}


def _lines(sealing: KubesecSealing, note: tuple[str, ...] = ()) -> str:
    keys = (f"# kubesec:{ref}:{wrapped}" for ref, wrapped in sealing.keys.items())
    lines = (*note, f"# kubesec:v:{sealing.version}", *keys, f"# kubesec:mac:{sealing.mac}")
    return sealing.newline.join(lines)
