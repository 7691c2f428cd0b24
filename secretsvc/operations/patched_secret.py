"""One Secret of a manifest whose text is changed step by step: what is not named keeps its bytes."""

from __future__ import annotations

from secretsvc import patience
from secretsvc.errors import ManifestError
from secretsvc.manifest import change
from secretsvc.manifest.model import FIELDS, decode_base64
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import apply
from secretsvc.manifest.styles import rewritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from secretsvc.formats.base import Opened, Place
    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.manifest.splice import Edit


class PatchedSecret:
    """The manifest as it is after each step, which is read again to prove it.

    Nobody else may hold the manifest, nor a method a Secret of it while it takes a step: the tree before is to be gone
    when the next one is read.
    """

    def __init__(self, manifest: Manifest, index: int) -> None:
        self.manifest = manifest
        self._index = index

    @property
    def _secret(self) -> Secret:
        return self.manifest.secrets[self._index]

    def put(self, texts: Mapping[change.Path, str]) -> None:
        """Texts at paths such as `("metadata", "name")`. Raises ManifestError.

        Those that stand there already cost one reading, each of the others one more.
        """
        there = [path for path in texts if change.is_text_at(self._secret, path)]
        for paths in (there, *([path] for path in texts if path not in there)):
            self._step([change.put(self.manifest.text, self._secret, path, texts[path]) for path in paths], {})

    def put_values(self, values: Mapping[Place, str | None], opened: Opened | None) -> None:
        """These texts in place of tokens, and None's entries away. `opened`: what it holds already stays as it is.

        Many values cost a few readings of the text, not one each. Raises ManifestError.
        """
        entries = {(entry.field, entry.key): entry for entry in self._secret.entries}
        added = {place: value for place, value in values.items() if value is not None and place not in entries}
        changed = {
            place: value
            for place, value in values.items()
            if value is not None and place in entries and not (opened and _same(entries[place], opened, value))
        }
        self._step([rewritten(self.manifest.text, entries[place], value) for place, value in changed.items()], changed)
        for field in FIELDS:
            self._add({place: value for place, value in added.items() if place[0] == field})
        self._drop({place for place, value in values.items() if value is None and place in entries})

    def _add(self, values: Mapping[Place, str]) -> None:
        """New entries of one field: the first makes room where there is no mapping yet, or an empty one."""
        left = dict(values)
        while left:
            has_room = any(entry.field == next(iter(left))[0] for entry in self._secret.entries)
            step = left if has_room else dict([next(iter(left.items()))])
            self._step(
                [change.put(self.manifest.text, self._secret, place, value) for place, value in step.items()], step
            )
            left = {place: value for place, value in left.items() if place not in step}

    def _drop(self, places: Collection[Place]) -> None:
        """Entries away. Of neighbours in a flow mapping, every other one waits for the next reading."""
        left = set(places)
        while left:
            edits, gone = _drops(self.manifest.text, self._secret, left)
            self._step(edits, dict.fromkeys(gone))
            left -= gone

    def _step(self, edits: Sequence[Edit], changed: Mapping[Place, str | None]) -> None:
        """Takes these edits; ManifestError unless of the Secret's texts just these are others then."""
        if not edits:
            return
        patience.check()
        before = self.manifest = self.manifest.outline()
        expected = {place: text for place, text in {**_texts(self._secret), **changed}.items() if text is not None}
        self.manifest = read(before.encoded(apply(before.text, edits)))
        if len(self.manifest.secrets) != len(before.secrets) or _texts(self._secret) != expected:
            raise ManifestError(
                "the change would alter more than it should in this layout",
                hint="ksecret decrypt, change it and encrypt it with --parent",
                line=before.secrets[self._index].line,
            )


def _texts(secret: Secret) -> dict[Place, str | None]:
    return {(entry.field, entry.key): entry.value for entry in secret.entries}


def _drops(text: str, secret: Secret, left: Collection[Place]) -> tuple[list[Edit], set[Place]]:
    """Edits that take entries away, and which; a field that they leave empty goes as a whole."""
    edits: list[Edit] = []
    dropped: set[Place] = set()
    for field in FIELDS:
        own = [(entry.field, entry.key) for entry in secret.entries if entry.field == field]
        gone = [place for place in own if place in left]
        if gone and len(gone) == len(own):
            dropped |= set(own)
            edits += filter(None, [change.drop(text, secret, (field,))])
            continue
        for place in gone:
            edit = change.drop(text, secret, place)
            if edit and (not edits or edit.start >= edits[-1].end):
                edits.append(edit)
                dropped.add(place)
    return edits, dropped


def _same(entry: Entry, opened: Opened, value: str) -> bool:
    """Tell whether the entry holds that value already, in whatever style."""
    place = (entry.field, entry.key)
    now = opened.format.text(opened.values[place]) if place in opened.values else entry.value
    if now == value or entry.field != "data":
        return now == value
    try:
        return decode_base64(now) == decode_base64(value)
    except ValueError:  # other programs seal that under data, too
        return False
