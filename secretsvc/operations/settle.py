"""Settling what `git merge` left to a person: one side's values, one side's key list or both. Needs no key itself.

Reads what `merge_entries` and the formats wrote: the comments tell whose a text is, and `.CONFLICT` sets it aside.
"""

from __future__ import annotations

import re

from secretsvc import formats
from secretsvc.errors import AlteredError, InputError
from secretsvc.formats.merge import UnmergeableError
from secretsvc.manifest.lines import line_end, line_start, without_break
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.nodes import Mapping, Scalar
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply, line_break
from secretsvc.operations.check_conflict import first_marker
from secretsvc.operations.merge_entries import region_of
from secretsvc.record import Record
from secretsvc.tokens import SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from mmap import mmap

    from secretsvc.formats.base import Sealed
    from secretsvc.formats.merge import Side
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.manifest.nodes import Member
    from secretsvc.operations.merge_entries import Chunk, Region

_NOTE = r"(?m)^ *# ksecret: CONFLICT: ([^\r\n]*)\r?\n *#[^\r\n]*\r?\n"
"""Above an entry or a key list in conflict: what happened, and what to do."""
_BOTH = r'both sides (?:added|changed) "'
_REMOVED = r'(ours|theirs) removed "'
_NEW_DATA_KEY = r"(ours|theirs) has a new data key \(rotate\), "
_BY_HAND = "settle it by hand: docs/git.md says how"


class Choice(Record):
    """A choice between the sides of a conflict."""

    side: Side | None
    """Whose values; and whose key list, unless `both_keys`. None: nobody's, and values in conflict are an error."""
    both_keys: bool


class Settled(Record):
    """The text without the conflict."""

    data: bytes
    others: dict[int, Sealed]
    """Secrets, by index, whose keys are to be joined by those of the other side's envelope."""
    unproven: bool
    """Whether its proof (a MAC) may have to be made anew."""


def may_be_settled(content: bytes | mmap) -> bool:
    """Tell whether there is anything to settle in it, as far as a look tells, be it Git's own markers."""
    marks = (b"# ksecret: CONFLICT", SUFFIX.encode(), b"conflict:", b"<<<<<<<")
    return any(content.find(mark) >= 0 for mark in marks)


def settle(data: bytes, choice: Choice) -> Settled:
    """Takes what was chosen; all else stays, byte for byte.

    Raises ManifestError, InputError for what only a person, or Git, can settle, and AlteredError.
    """
    line = first_marker(data)
    if line:
        hint = "settle those by hand, then run this again; or git checkout --ours or --theirs takes a side whole"
        raise InputError("Git's conflict markers stand in it", hint=hint, line=line)
    manifest = read(data)
    edits = [edit for secret in manifest.secrets for edit in _entry_edits(manifest, secret, choice.side)]
    others = {}
    for index, secret in enumerate(manifest.secrets):
        conflict = _conflict_of(manifest, secret)
        if conflict:
            edit, other = _key_edit(manifest, secret, conflict, choice)
            edits.append(edit)
            if other:
                others[index] = other
    return _settled(manifest, edits, others)


def settle_keys(data: bytes) -> Settled:
    """The first of two key lists, for a caller who knows which keys are wanted; the other one in `others`.

    Values are left as they are. Raises ManifestError, AlteredError.
    """
    manifest = read(data)
    edits, others = [], {}
    for index, secret in enumerate(manifest.secrets):
        conflict = _conflict_of(manifest, secret)
        if conflict:
            edits.append(_without(manifest, conflict))
            others[index] = _envelope_in(manifest, conflict)
    return _settled(manifest, edits, others)


def _settled(manifest: Manifest, edits: list[Edit], others: dict[int, Sealed]) -> Settled:
    text = apply(manifest.text, edits)
    merges = formats.of(manifest).merges()
    whole = merges.without_note(text) if merges else text
    return Settled(manifest.encoded(whole), others, whole != text)


def _entry_edits(manifest: Manifest, secret: Secret, side: Side | None) -> Iterator[Edit]:
    for field in FIELDS:
        keys = [entry.key for entry in secret.entries if entry.field == field and entry.key.endswith(SUFFIX)]
        if not keys:
            continue
        where = f'{secret.label}: {field}["{keys[0].removesuffix(SUFFIX)}"]'
        if not side:
            raise InputError(f"{where} is in conflict, too", hint="add --ours or --theirs")
        try:
            region = region_of(manifest, secret, field)
        except UnmergeableError:
            region = None
        if not region:
            raise InputError(f"{where} is in conflict, in lines that it shares", hint=_BY_HAND)
        yield Edit(region.start, region.end, _chosen(region, side, where))


def _chosen(region: Region, side: Side, where: str) -> str:
    """The region's lines with one entry, or none, for each that is in conflict."""
    pieces: list[tuple[str, str]] = []
    for key, chunk in region.chunks.items():
        partner = region.chunks.get(key.removesuffix(SUFFIX) if key.endswith(SUFFIX) else key + SUFFIX)
        if key.endswith(SUFFIX) and partner:
            continue  # done with the other
        if key.endswith(SUFFIX):
            text = _of_side(None, chunk, side, where)
        elif partner:
            text = _of_side(chunk, partner, side, where)
        else:
            text = chunk.text
        if text is not None:
            pieces.append((text, chunk.newline))
    if not pieces:
        raise InputError(f"{where} would leave no entry", hint=_BY_HAND)
    return "".join(text + (newline or region.newline) for text, newline in pieces[:-1]) + pieces[-1][0]


def _of_side(stays: Chunk | None, aside: Chunk, side: Side, where: str) -> str | None:
    """The chosen side's entry, under its own name; None where that side removed it."""
    first = stays or aside
    note = re.search(_NOTE, first.lead)
    owners = _owners(note[1] if note else "", bool(stays))
    if not note or not owners:
        raise InputError(f"{where}: no comment tells any more whose value is whose", hint=_BY_HAND)
    if side == owners[1] and re.match(_NEW_DATA_KEY, note[1]):
        raise InputError(
            f"{where}: {side} sealed it under another data key",
            hint=f"git checkout --{side} takes that side whole; or write its clear value, and ksecret encrypt -i",
        )
    lead = first.lead[: note.start()] + first.lead[note.end() :]
    if side != owners[1]:
        return lead + stays.own if stays else None
    own_lead = aside.lead if stays and aside.lead else lead
    return (
        own_lead + aside.before[: aside.named - len(SUFFIX)] + aside.before[aside.named :] + aside.value + aside.after
    )


def _owners(note: str, is_pair: bool) -> Sequence[Side]:
    """Tell whose entry kept its name, and whose is the one set aside; nothing where the note does not tell."""
    found = re.match(f"{_NEW_DATA_KEY}|{_REMOVED}", note)
    if found and not (found[2] and is_pair):
        return ("ours", "theirs") if "ours" in found.groups() else ("theirs", "ours")
    return ("ours", "theirs") if is_pair and re.match(_BOTH, note) else ()


def _conflict_of(manifest: Manifest, secret: Secret) -> Member | None:
    """The envelope's member that holds the other side's."""
    merges = formats.of(manifest).merges()
    return merges.second(secret) if merges else None


def _key_edit(manifest: Manifest, secret: Secret, conflict: Member, choice: Choice) -> tuple[Edit, Sealed | None]:
    edit = _without(manifest, conflict)
    note = _note_above(manifest.text, conflict)
    if not note:
        raise InputError(f"{secret.label}: no comment tells any more whose key list is whose", hint=_BY_HAND)
    if note[1] == "both sides changed the keys":
        if choice.both_keys:
            return edit, _envelope_in(manifest, conflict)
        if not choice.side:
            raise InputError(f"{secret.label} has two key lists", hint="--both-keys keeps both")
        return (edit if choice.side == "ours" else _swapped(manifest, secret, conflict)), None
    home = re.match(_NEW_DATA_KEY, note[1])
    if choice.both_keys or choice.side != (home[1] if home else "ours"):
        raise InputError(
            f"{secret.label} has two key lists, of two data keys",
            hint="ksecret keys sync seals to the policy's keys; git checkout --ours or --theirs takes a side whole",
        )
    return edit, None


def _without(manifest: Manifest, conflict: Member) -> Edit:
    """The member away, and the comment above it."""
    text = manifest.text
    start, end = line_start(text, conflict.key.start), _end(text, conflict)
    note = _note_above(text, conflict)
    start = note.start() if note else start
    return Edit(start if text.endswith("\n", 0, end) else without_break(text, start), end, "")


def _note_above(text: str, conflict: Member) -> re.Match[str] | None:
    start = line_start(text, conflict.key.start)
    return next((note for note in re.finditer(_NOTE, text[:start]) if note.end() == start), None)


def _end(text: str, member: Member) -> int:
    """Return the place after its last line, without the blank ones that a block takes in."""
    return line_end(text, member.key.start + len(text[member.key.start : member.value.end].rstrip()))


def _swapped(manifest: Manifest, secret: Secret, conflict: Member) -> Edit:
    """The other side's envelope in the place of the one that is there."""
    envelope = formats.of(manifest).envelope(secret)
    assert envelope
    assert isinstance(envelope.value, Mapping)
    _envelope_in(manifest, conflict)  # which refuses what is none
    text, indent = manifest.text, " " * envelope.value.column
    start = line_end(text, envelope.key.end)
    lines = [indent + line for line in _text_in(conflict).splitlines()]
    return Edit(start, without_break(text, _end(text, envelope)), line_break(text).join(lines))


def _text_in(conflict: Member) -> str:
    if not isinstance(conflict.value, Scalar):
        raise AlteredError("the second key list is no text", hint="restore the file from Git", line=conflict.key.line)
    return conflict.value.value


def _envelope_in(manifest: Manifest, conflict: Member) -> Sealed:
    """The other side's envelope. Raises AlteredError, InputError, ManifestError."""
    merges = formats.of(manifest).merges()
    assert merges  # which found it
    return merges.read_second(_text_in(conflict), conflict.key.line)
