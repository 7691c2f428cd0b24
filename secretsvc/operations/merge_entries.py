"""Three versions of the entries under one field → one, key by key, by their text.

An entry's text is kept as its side wrote it: the comment lines above it, quotes, what stands behind it.
"""

from __future__ import annotations

from secretsvc import formats
from secretsvc.formats.merge import UnmergeableError
from secretsvc.manifest import nodes
from secretsvc.manifest.lines import line_end, line_start, without_break
from secretsvc.manifest.nodes import Mapping, Scalar
from secretsvc.manifest.scalars import inside
from secretsvc.manifest.splice import line_break
from secretsvc.record import Record
from secretsvc.tokens import SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.formats.merge import Side
    from secretsvc.manifest.model import Manifest, Secret


class Chunk(Record):
    """One entry's lines: those of comments above it, then its own, without the last line break."""

    lead: str
    before: str
    """Its own text up to the value."""
    value: str
    """The token."""
    after: str
    named: int
    """Where in `before` the key's name ends."""
    newline: str
    """The line break after it, which may be none at the end of a file."""
    sealed: bool

    @property
    def text(self) -> str:
        return self.lead + self.own

    @property
    def own(self) -> str:
        return self.before + self.value + self.after

    @property
    def frame(self) -> tuple[str, str, str]:
        """All but the value."""
        return self.lead, self.before, self.after

    @property
    def set_aside(self) -> str:
        """The entry under a name that its token does not open under."""
        return self.before[: self.named] + SUFFIX + self.before[self.named :] + self.value + self.after

    def __repr__(self) -> str:
        return "Chunk(masked)"


class Region(Record):
    """The entries of one field: `text[start:end]`, whole lines without the last line break."""

    start: int
    end: int
    column: int
    newline: str
    chunks: dict[str, Chunk]

    def __repr__(self) -> str:
        return f"Region({self.start}, {self.end}, masked)"


def region_of(manifest: Manifest, secret: Secret, field: str) -> Region | None:
    """The field's entries; None where it has none. Raises UnmergeableError for those that share lines."""
    holder = nodes.member(secret.root, field)
    mapping = holder.value if holder else None
    entries = [entry for entry in secret.entries if entry.field == field]
    if not holder or not isinstance(mapping, Mapping) or not entries:
        return None
    text = manifest.text
    start = at = line_end(text, holder.key.end)
    if mapping.flow or start > mapping.start:
        raise UnmergeableError
    format_ = formats.of(manifest)
    chunks = {}
    for entry, (key, _) in zip(entries, mapping.members, strict=True):
        own, end = line_start(text, key.start), line_end(text, entry.scalar.end)
        if text[own : key.start].strip(" ") or not isinstance(key, Scalar) or key.style in ("|", ">"):
            raise UnmergeableError
        place = inside(text, entry)
        value = min(place.start + place.indent, place.end)
        last = without_break(text, end)
        chunks[entry.key] = Chunk(
            text[at:own],
            text[own:value],
            text[value : place.end],
            text[place.end : max(last, place.end)],
            key.end - (1 if key.style else 0) - own,
            text[max(last, place.end) : end],
            format_.is_token(entry.value),
        )
        at = end
    return Region(start, max(without_break(text, at), start), mapping.column, line_break(text), chunks)


def field_span(manifest: Manifest, secret: Secret, field: str, region: Region | None) -> tuple[int, int]:
    """The lines of the whole field, its name's included, `region` being its entries; nothing where it is not there.

    Raises UnmergeableError for one that shares lines.
    """
    holder = nodes.member(secret.root, field)
    if not holder:
        return (0, 0)
    text = manifest.text
    start, end = line_start(text, holder.key.start), line_end(text, region.end if region else holder.key.end)
    if text[start : holder.key.start].strip(" ") or (not region and holder.value.start > end):
        raise UnmergeableError
    return start, end


class MergedEntries(Record):
    """The lines that go where a region stood, the value of each entry in them, and the keys in conflict."""

    text: str
    values: dict[str, str]
    conflicts: list[str]

    def __repr__(self) -> str:
        return f"MergedEntries({len(self.conflicts)} conflicts, masked)"


def merge_entries(base: Region, ours: Region, theirs: Region, home: Side | None) -> MergedEntries:
    """Takes the side that changed, key by key; two texts where both did.

    `home`: the side whose data key the merged Secret has, where the other has another. Raises UnmergeableError.
    """
    if not base.column == ours.column == theirs.column:
        raise UnmergeableError
    pieces: list[tuple[str, str]] = []
    values: dict[str, str] = {}
    conflicts = []
    for key in _order(list(base.chunks), list(ours.chunks), list(theirs.chunks)):
        before = None if key + SUFFIX in base.chunks else base.chunks.get(key)
        undecided = key + SUFFIX in base.chunks  # a base that Git merged itself (criss-cross), with a conflict
        one = _merge_one(before, ours.chunks.get(key), theirs.chunks.get(key), home, undecided=undecided)
        if isinstance(one, Chunk):
            pieces.append((one.text, one.newline))
            values[key] = one.value
        elif one:
            conflicts.append(key)
            pieces += _conflict(key, one, ours, home)
    lines = [text + (newline or ours.newline) for text, newline in pieces[:-1]] + [text for text, _ in pieces[-1:]]
    return MergedEntries("".join(lines), values, conflicts)


class _Both(Record):
    """An entry that the sides disagree on; None where a side has removed it, or never had it."""

    ours: Chunk | None
    theirs: Chunk | None
    added: bool


def _merge_one(
    base: Chunk | None, ours: Chunk | None, theirs: Chunk | None, home: Side | None, *, undecided: bool
) -> Chunk | _Both | None:
    if ours is None and theirs is None:
        return None
    if ours is None or theirs is None:
        present, side = (ours, "ours") if ours else (theirs, "theirs")
        if base is None and not undecided:
            return present if home in (None, side) else _Both(ours, theirs, True)
        return None if base and present and base.text == present.text else _Both(ours, theirs, False)
    if ours.value == theirs.value:
        value: str | None = ours.value
    elif base is None:
        value = None
    else:
        value = ours.value if base.value == theirs.value else theirs.value if base.value == ours.value else None
    if value is None:
        return _Both(ours, theirs, base is None)
    return _framed(base, ours, theirs)._replace(value=value, newline=ours.newline)


def _framed(base: Chunk | None, ours: Chunk, theirs: Chunk) -> Chunk:
    """The one whose comments, quotes and so on go into the result."""
    if ours.frame == theirs.frame or (base and base.frame == theirs.frame):
        return ours
    if base and base.frame == ours.frame:
        return theirs
    raise UnmergeableError


def _conflict(key: str, both: _Both, ours: Region, home: Side | None) -> list[tuple[str, str]]:
    """Comment lines that say what to do, and the tokens of both sides as entries of their own."""
    if any(chunk and not chunk.sealed for chunk in both[:2]):  # `encrypt` would seal it under that name
        raise UnmergeableError
    stays, aside = (both.theirs, both.ours) if home == "theirs" else (both.ours, both.theirs)
    first = stays or aside
    assert first
    told = [f"{' ' * ours.column}# {line}" for line in _told(key, both, home)]
    pieces = [(line, ours.newline) for line in (first.lead + told[0], *told[1:])]
    if stays:
        pieces.append((stays.own if aside else stays.set_aside, stays.newline))
    if aside:
        lead = aside.lead if stays and aside.lead != stays.lead else ""
        pieces.append((lead + aside.set_aside, aside.newline))
    return pieces


def _told(key: str, both: _Both, home: Side | None) -> tuple[str, str]:
    """Return what happened, and what to do."""
    if both.ours and both.theirs and not home:
        what = f'both sides {"added" if both.added else "changed"} "{key}": ours is first, then theirs'
        return f"ksecret: CONFLICT: {what}", f"Keep one of the two, named {key}; delete the other and these lines"
    gone, present = ("theirs", "ours") if both.ours else ("ours", "theirs")
    if home and ((both.ours and both.theirs) or present != home):
        loser = "theirs" if home == "ours" else "ours"
        did = "added" if both.added else "changed"
        return (
            f'ksecret: CONFLICT: {home} has a new data key (rotate), {loser} {did} "{key}"',
            f"To take that, write its clear value as {key}; delete {key}{SUFFIX} and these lines; ksecret encrypt -i",
        )
    how = "changed it, or only sealed it anew (rotate)" if home else "changed it"
    return (
        f'ksecret: CONFLICT: {gone} removed "{key}", {present} {how}',
        f"Delete it, or take {SUFFIX} off its name to keep it; then delete these lines",
    )


def _order(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Every key of both sides: in the order of the side that changed it, additions after what they stood after."""
    kept = _among(ours, base) == _among(base, ours)
    spine, other = (theirs, ours) if kept and _among(theirs, base) != _among(base, theirs) else (ours, theirs)
    known, placed = set(other), set(spine)
    following: dict[str | None, str | None] = dict(zip((None, *spine), (*spine, None), strict=True))
    for index, key in enumerate(other):
        if key in placed:
            continue
        at = other[index - 1] if index else None
        while (after := following[at]) is not None and after not in known:
            at = after  # ours first, where both added at the same place
        following[at], following[key] = key, following[at]
    result = []
    key_or_end = following[None]
    while key_or_end is not None:
        result.append(key_or_end)
        key_or_end = following[key_or_end]
    return result


def _among(keys: Sequence[str], others: Sequence[str]) -> list[str]:
    known = set(others)
    return [key for key in keys if key in known]
