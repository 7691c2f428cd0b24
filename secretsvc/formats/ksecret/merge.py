"""Three *ksecret v1* envelopes → one. Without a key nothing new can be sealed, so one side's seal must fit."""

from __future__ import annotations

from secretsvc.errors import AlteredError
from secretsvc.formats.base import Merges, token_of
from secretsvc.formats.ksecret.envelope import ENVELOPE, member_of, sealed, unchecked
from secretsvc.formats.merge import EnvelopeLines, MergedEnvelope, UnmergeableError, home_of, merge_keys
from secretsvc.manifest import nodes
from secretsvc.manifest.line_reader import leading_documents
from secretsvc.manifest.lines import line_end, line_start, without_break
from secretsvc.manifest.splice import Edit, apply, line_break
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeAlias

    from secretsvc.formats.base import Opened, Place, Sealed
    from secretsvc.formats.merge import Side
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.manifest.nodes import Member, Scalar

    Key: TypeAlias = tuple[int, str]
    """Number of the group, from 1, 0 where there are none, and KeyRef."""


class Traits(Record):
    """Marks that tell one DEK from another, by texts alone."""

    created: str
    seal: str
    keys: dict[Key, str]
    """Each with its wrapped DEK, or share."""
    threshold: str
    """How many groups of keys have to be opened; empty where there are none."""
    tokens: frozenset[str]


class SealedVersion(Record):
    """An envelope in one version of a file: `text[start:end]` is its envelope, whole lines without the last break."""

    start: int
    end: int
    text: str
    column: int
    """Of the envelope's members."""
    newline: str
    type: str
    traits: Traits
    places: dict[Key, tuple[int, int]]
    """Where in `text` each wrapped DEK stands."""

    @property
    def keys(self) -> dict[Key, str]:
        """Each key with its wrapped DEK, or share."""
        return self.traits.keys

    @property
    def division(self) -> tuple[str, set[Key]]:
        """Return what a seal is over, of keys in groups."""
        return self.traits.threshold, set(self.keys)


class KsecretMerges(Merges):
    """One side's seal must fit: it is over the keys and the type, and over no value."""

    def lines(self, manifest: Manifest, secret: Secret) -> EnvelopeLines:
        own = sealed_version(manifest, secret)
        return EnvelopeLines(own.start, own.end, own)

    def home(self, sides: Sequence[EnvelopeLines]) -> Side | None:
        base, ours, theirs = (side.own for side in sides)
        return merge_envelopes(base, ours, theirs, "").home

    def envelope(
        self, sides: Sequence[EnvelopeLines], home: Side | None, values: Mapping[Place, str] | None, name: str
    ) -> MergedEnvelope:
        base, ours, theirs = (side.own for side in sides)
        return merge_envelopes(base, ours, theirs, name)

    def mixes_data_keys(self, origins: Sequence[Secret], merged: Secret) -> bool:
        traits, known = traits_of(merged), [traits_of(one) for one in origins]
        fitting = [one.tokens for one in known if one and traits and same_data_key(one, traits)]
        return bool(traits and any(known) and not traits.tokens <= frozenset().union(*fitting))

    def second(self, secret: Secret) -> Member | None:
        member = member_of(secret)
        mapping = member.value if member else None
        return nodes.member(mapping, "conflict") if isinstance(mapping, nodes.Mapping) else None

    def read_second(self, text: str, line: int) -> Sealed:
        lines = "".join(f"  {line}\n" for line in text.splitlines())
        found, _ = leading_documents(f"{ENVELOPE}:\n{lines}")
        member = nodes.member(found[0], ENVELOPE) if found and isinstance(found[0], nodes.Mapping) else None
        if not member:
            raise AlteredError("the second key list is none", hint="restore the file from Git", line=line)
        return sealed(member)

    def joined(self, opened: Opened, other: Sealed, secret: Secret) -> Opened:
        from secretsvc.formats.ksecret.sealing import joined

        return joined(opened, other, secret)

    def without_note(self, text: str) -> str:
        return text


def traits_of(secret: Secret) -> Traits | None:
    """Return them; None for a Secret without a complete envelope."""
    envelope = unchecked(secret)
    if not envelope:
        return None
    keys = {key: wrapped.value for key, wrapped in envelope.keys.items()}
    tokens = frozenset(token_of(entry) for entry in secret.entries)
    return Traits(envelope.created, envelope.seal.value, keys, envelope.threshold, tokens)


def sealed_version(manifest: Manifest, secret: Secret) -> SealedVersion:
    """Return the Secret's envelope.

    Raises UnmergeableError for one that is not of lines of its own, or not complete.
    """
    envelope, traits = unchecked(secret), traits_of(secret)
    member, text = member_of(secret), manifest.text
    if not envelope or not traits or not member or secret.root.flow or envelope.mapping.flow:
        raise UnmergeableError
    start = line_start(text, member.key.start)
    if text[start : member.key.start].strip(" "):
        raise UnmergeableError
    end = without_break(text, line_end(text, member.value.end))
    return SealedVersion(
        start,
        end,
        text[start:end],
        envelope.mapping.column,
        line_break(text),
        secret.type,
        traits,
        {key: _place(wrapped, start) for key, wrapped in envelope.keys.items()},
    )


def _place(wrapped: Scalar, start: int) -> tuple[int, int]:
    inset = 1 if wrapped.style in ("'", '"') else 0
    return wrapped.start + inset - start, wrapped.end - inset - start


def same_data_key(one: Traits, other: Traits) -> bool:
    """Tell whether both have the same DEK, as far as texts tell: made at the same time, and something of it the same.

    The seal is the same after a rewrap, wrapped DEKs after a change of keys, a token after nearly everything.
    """
    return one.created == other.created and (
        one.seal == other.seal
        or not one.keys.items().isdisjoint(other.keys.items())
        or not one.tokens.isdisjoint(other.tokens)
    )


def merge_envelopes(base: SealedVersion, ours: SealedVersion, theirs: SealedVersion, name: str) -> MergedEnvelope:
    """Return the envelope for the merged Secret, or ours with theirs under a member that refuses to open.

    Raises UnmergeableError.
    """
    if same_data_key(ours.traits, theirs.traits):
        if any(side.traits.threshold for side in (base, ours, theirs)):
            return _merged_groups(base, ours, theirs, name)
        keys = merge_keys(base.keys, ours.keys, theirs.keys)
        sides = [(ours, theirs), (theirs, ours)]
        for side, other in reversed(sides) if ours.text == base.text else sides:
            # A seal is over the KeyRefs and the type, so it fits the side where both are what they will be.
            if set(side.keys) == set(keys) and other.type in (base.type, side.type):
                return MergedEnvelope(_rewrapped(side, keys), None, "")
        added = _added(theirs.keys.keys() - ours.keys.keys())
        how = f"ksecret encrypt -i {added} {name}" if added else f"ksecret inspect {name}"
        what = "both sides changed the keys"
        return MergedEnvelope(_both(ours, theirs, what, f'Delete "conflict:" with its lines; then: {how}'), None, what)
    left, right = (same_data_key(side.traits, base.traits) for side in (ours, theirs))
    home = home_of(left, right)
    winner, loser = (theirs, ours) if home == "theirs" else (ours, theirs)
    if left != right and set(loser.keys) == set(base.keys):
        return MergedEnvelope(winner.text, home, "")
    if left == right:
        what, how = "both sides have a new data key (rotate)", f"Take one side whole: git checkout --ours {name}"
    else:
        # What the winner removed is in the other list, too, and stays removed.
        what = f"{home} has a new data key (rotate), the other side changed the keys"
        if winner.traits.threshold or loser.traits.threshold:
            then = f"ksecret keys sync {name}, or ksecret keys add --group N -k KEYREF {name}"
        else:
            lost = _added(loser.keys.keys() - winner.keys.keys() - base.keys.keys())
            then = f"ksecret encrypt -i {lost} {name}"
        how = f'Delete "conflict:" with its lines; then: {then}'
    return MergedEnvelope(_both(winner, loser, what, how), home, what)


def _merged_groups(base: SealedVersion, ours: SealedVersion, theirs: SealedVersion, name: str) -> MergedEnvelope:
    """Return one side's whole, where keys are in groups: shares of two divisions of a DEK open nothing together."""
    sides = [(ours, theirs), (theirs, ours)]
    for side, other in sides if theirs.division == base.division else reversed(sides):
        # The seal is over the division and the type.
        if other.division in (base.division, side.division) and other.type in (base.type, side.type):
            return MergedEnvelope(side.text, None, "")
    what = "both sides changed the keys"
    how = f'Delete "conflict:" with its lines; then: ksecret keys sync {name}, or keys add --group N -k KEYREF {name}'
    return MergedEnvelope(_both(ours, theirs, what, how), None, what)


def _added(keys: Iterable[Key]) -> str:
    return " ".join(f"-k +{ref}" for ref in sorted(ref for _, ref in keys))


def _rewrapped(side: SealedVersion, keys: Mapping[Key, str]) -> str:
    return apply(side.text, [Edit(*side.places[key], keys[key]) for key in keys if side.keys[key] != keys[key]])


def _both(stays: SealedVersion, aside: SealedVersion, what: str, how: str) -> str:
    """One side's envelope, and the other's as text in a member that no envelope has: what has it does not open."""
    indent = " " * stays.column
    lines = [
        stays.text,
        f"{indent}# ksecret: CONFLICT: {what}",
        f"{indent}# {how}",
        f"{indent}conflict: |",
        *(f"{indent}  {line[aside.column :]}".rstrip() for line in aside.text.splitlines()[1:]),
    ]
    return stays.newline.join(lines)
