"""Three versions of a manifest → one: entries key by key, envelopes by what they mean, all else line by line.

Works on tokens, so it needs no key. The lines between are Git's to merge: where entries and envelopes stood, all
three texts get the same line, which no side has changed, and the merged ones are put there afterwards.
"""

from __future__ import annotations

import re
from contextlib import suppress
from shlex import quote

from secretsvc import formats
from secretsvc.errors import KsecretError
from secretsvc.formats.merge import UnmergeableError
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply
from secretsvc.operations.merge_entries import field_span, merge_entries, region_of
from secretsvc.record import Record
from secretsvc.tokens import SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.formats.base import Format, Merges
    from secretsvc.formats.merge import Side
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.merge_entries import MergedEntries, Region
    from secretsvc.programs.git import Merged

    LineMerge = Callable[[bytes, bytes, bytes], Merged]
    """Base, ours, theirs → Git's own merge of them."""

_SLOT = "#~ksecret-merge-slot-"
_MOST_OF_ONE_NAME = 100
"""Secrets of one name on both sides together; each is compared with each that comes out. Kubernetes takes one."""

_ALWAYS_MERGED, _CHARACTERS_PER_VALUE = 20_000, 200
"""Values of one version, and one more for each 200 characters: more than tokens have room for are merged as lines."""


class Outcome(Record):
    """The merged file. `conflicts`: what a person must settle, a line each; none means it is done."""

    data: bytes
    conflicts: list[str]


def merge_manifests(base: bytes, ours: bytes, theirs: bytes, name: str, merge_lines: LineMerge) -> Outcome:
    """The merged file, whatever the three are: what is no sealed YAML is merged line by line, as Git does.

    `name`: the file's, for what conflicts say.
    """
    with suppress(KsecretError, UnmergeableError, ValueError):
        return _by_entries([_read(data) for data in (base, ours, theirs)], name, merge_lines)
    return _as_lines(base, ours, theirs, merge_lines)


def _read(data: bytes) -> Manifest:
    """With the fields' trees only: three whole ones would be in memory at once. Raises UnmergeableError."""
    manifest = read(data)
    most = _ALWAYS_MERGED + len(manifest.text) // _CHARACTERS_PER_VALUE
    if sum(len(secret.entries) for secret in manifest.secrets) > most:
        raise UnmergeableError
    return formats.outline(manifest, *FIELDS)


def _as_lines(base: bytes, ours: bytes, theirs: bytes, merge_lines: LineMerge) -> Outcome:
    merged = merge_lines(base, ours, theirs)
    if merged.conflicts < 0:
        return Outcome(ours, ["neither side's text could be merged; ours was left"])
    if merged.conflicts:
        return Outcome(merged.data, [f"{merged.conflicts} marked with <<<<<<<"])
    try:
        mixed = _mixes_data_keys(
            [formats.outline(read(data)) for data in (ours, theirs)], formats.outline(read(merged.data))
        )
    except (KsecretError, ValueError):
        mixed = False  # Git's word holds for what is no manifest
    return Outcome(merged.data, ["tokens of two data keys stand in one Secret: take one side whole"] if mixed else [])


class _Plan:
    """A plan of what is to stand in each slot, and the edits that make the slots in base, ours and theirs."""

    def __init__(self) -> None:
        self.edits: tuple[list[Edit], list[Edit], list[Edit]] = ([], [], [])
        self.texts: dict[str, str] = {}
        self.conflicts: list[str] = []

    def put(self, text: str, places: list[tuple[int, int]]) -> None:
        """`text` in place of those spans of base, ours and theirs."""
        slot = self._slot(text)
        for edits, (start, end) in zip(self.edits, places, strict=True):
            edits.append(Edit(start, end, slot))

    def put_into_one(
        self, text: str, regions: list[Region | None], spans: list[tuple[int, int]], texts: list[str]
    ) -> None:
        """`text` in place of the entries of one side, where one of the three versions has not got the field.

        A second one that has it, base or theirs, is made like the third, so that the lines merge to what that side has.
        """
        lacking = regions.index(None)
        taken = 2 if lacking == 1 else 1
        like = 3 - lacking - taken
        region = regions[taken]
        assert region
        self.edits[taken].append(Edit(region.start, region.end, self._slot(text)))
        self.edits[like].append(Edit(*spans[like], texts[lacking][slice(*spans[lacking])]))

    def _slot(self, text: str) -> str:
        slot = f"{_SLOT}{len(self.texts)}"
        self.texts[slot] = text
        return slot


def _by_entries(versions: list[Manifest], name: str, merge_lines: LineMerge) -> Outcome:
    _check_texts(versions)
    plan = _Plan()
    label = quote(name) if name.isprintable() else "FILE"
    format_, merges = _way(versions)
    for secrets in _matched(versions, format_):
        _plan_secret(plan, versions, secrets, label, merges)
    if not plan.texts:
        raise UnmergeableError
    slotted = [apply(version.text, edits).encode() for version, edits in zip(versions, plan.edits, strict=True)]
    merged = merge_lines(slotted[0], slotted[1], slotted[2])
    if merged.conflicts < 0:
        raise UnmergeableError
    text = _filled(merged.data.decode(), plan.texts)
    data = versions[1].encoded(text)
    if merged.conflicts:
        plan.conflicts.append(f"{merged.conflicts} marked with <<<<<<<")
    else:
        result = read(data)  # which refuses what would be no manifest
        if not plan.conflicts and _mixes_data_keys(versions[1:], result):
            raise UnmergeableError
    return Outcome(data, plan.conflicts)


def _way(versions: list[Manifest]) -> tuple[Format, Merges]:
    """The one format of all three, and how it merges. Raises UnmergeableError."""
    found = {one.name: one for one in map(formats.of, versions)}
    format_ = next(iter(found.values()))
    merges = format_.merges()
    if len(found) > 1 or not merges:
        raise UnmergeableError
    return format_, merges


def _check_texts(versions: list[Manifest]) -> None:
    """Raises UnmergeableError for texts whose lines are not lines to Git, and for JSON, where no comment may stand."""
    for version in versions:
        lone = version.text.replace("\r\n", "").find("\r") >= 0
        if version.is_json or lone or _SLOT in version.text or version.bom != versions[0].bom:
            raise UnmergeableError


def _matched(versions: list[Manifest], format_: Format) -> list[list[Secret]]:
    """The Secrets that are sealed in all three, found by namespace and name."""
    sides = [
        {(secret.namespace, secret.name): secret for secret in version.secrets if format_.is_sealed(version, secret)}
        for version in versions
    ]
    if any(
        len(side) != sum(format_.is_sealed(version, one) for one in version.secrets)
        for side, version in zip(sides, versions, strict=True)
    ):
        raise UnmergeableError  # two of one name
    return [[side[who] for side in sides] for who in sides[1] if who in sides[0] and who in sides[2]]


def _plan_secret(plan: _Plan, versions: list[Manifest], secrets: list[Secret], name: str, merges: Merges) -> None:
    sides = [merges.lines(*pair) for pair in zip(versions, secrets, strict=True)]
    home = merges.home(sides)
    before = len(plan.conflicts)
    merged = _plan_entries(plan, versions, secrets, home)
    values = {(field, key): value for field, one in merged.items() for key, value in one.values.items()}
    envelope = merges.envelope(sides, home, None if len(plan.conflicts) > before else values, name)
    plan.put(envelope.text, [(one.start, one.end) for one in sides])
    if envelope.conflict:
        plan.conflicts.append(f"{secrets[1].label}: {envelope.conflict}")


def _plan_entries(
    plan: _Plan, versions: list[Manifest], secrets: list[Secret], home: Side | None
) -> dict[str, MergedEntries]:
    """Plans the fields that two or three of the versions have; one that a single side added is left to the lines."""
    done = {}
    sides = list(zip(versions, secrets, strict=True))
    for field in FIELDS:
        regions = [region_of(*side, field) for side in sides]
        present = [region for region in regions if region]
        if not present:
            continue
        base, ours, theirs = (region or present[0]._replace(chunks={}) for region in regions)
        merged = merge_entries(base, ours, theirs, home)
        if len(present) == 3 and merged.text:
            plan.put(merged.text, [(region.start, region.end) for region in present])
        elif len(present) == 2 and merged.text:
            spans = [field_span(*side, field, region) for side, region in zip(sides, regions, strict=True)]
            plan.put_into_one(merged.text, regions, spans, [version.text for version in versions])
        elif len(present) == 3 or merged.conflicts:
            raise UnmergeableError  # nothing left under the field, or a token that would open nothing
        plan.conflicts += [
            f'{secrets[1].label}: {field}["{key}"], set beside it as {key}{SUFFIX}' for key in merged.conflicts
        ]
        done[field] = merged
    return done


def _filled(text: str, texts: dict[str, str]) -> str:
    """The text with each slot's line replaced. Raises UnmergeableError where lines were moved or lost."""
    found = list(re.finditer(rf"(?m)^{_SLOT}[0-9]+(?=\r?$)", text))
    if sorted(one[0] for one in found) != sorted(texts):
        raise UnmergeableError
    return apply(text, [Edit(*one.span(), texts[one[0]]) for one in found])


def _mixes_data_keys(sides: list[Manifest], merged: Manifest) -> bool:
    """Tell whether a Secret has got a token of another data key than its envelope's."""
    merges = formats.of(merged).merges()
    by_name: dict[tuple[str | None, str | None], list[Secret]] = {}
    for side in sides:
        for one in side.secrets:
            by_name.setdefault((one.namespace, one.name), []).append(one)
    for secret in merged.secrets if merges else ():
        origins = by_name.get((secret.namespace, secret.name), [])
        if len(origins) > _MOST_OF_ONE_NAME or (merges and merges.mixes_data_keys(origins, secret)):
            return True
    return False
