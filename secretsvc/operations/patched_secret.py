"""One Secret of a manifest with other texts in it: what is not named keeps its bytes."""

from __future__ import annotations

from contextlib import suppress

from secretsvc import formats, patience
from secretsvc.errors import ManifestError
from secretsvc.manifest import change
from secretsvc.manifest.model import FIELDS, decode_base64
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply
from secretsvc.manifest.styles import rewritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.formats.base import Opened, Place
    from secretsvc.manifest.model import Entry, Manifest, Secret


class PatchedSecret:
    """A manifest with other texts in one Secret, all put there at once; `read` proves it.

    The tree before is not kept: by the time of `read` nobody else should hold it, so that no two are in memory at once.
    """

    def __init__(
        self,
        manifest: Manifest,
        index: int,
        values: Mapping[Place, str | None],
        others: Mapping[change.Path, str],
        opened: Opened | None = None,
    ) -> None:
        """`values`: the texts of entries, None for one that is to go; `others`: texts at other paths.

        `opened`: the Secret as it is sealed, where the caller may know it: what it holds already keeps its token.
        Raises ManifestError.
        """
        patience.check()
        self._before, self._index = formats.outline(manifest), index
        secret = manifest.secrets[index]
        entries = {entry.place: entry for entry in secret.entries}
        values = {
            place: text
            for place, text in values.items()
            if place in entries or text is not None
            if not (text is not None and place in entries and opened and _is_held(entries[place], opened, text))
        }
        self._expected = {place: text for place, text in {**_texts(secret), **values}.items() if text is not None}
        paths: dict[change.Path, str | None] = {}
        self._edits: list[Edit] = []
        for place, text in sorted(values.items(), key=lambda one: FIELDS.index(one[0][0])):
            if text is not None and place in entries:
                self._edits.append(_rewritten(manifest.text, entries[place], opened, text))
            else:
                paths[place] = text
        self._edits += change.changes(manifest.text, secret, {**paths, **others}, formats.of(manifest).envelope(secret))

    def read(self) -> Manifest:
        """Return the manifest; ManifestError unless of the Secret's texts just these are others in it."""
        before = self._before
        with suppress(ValueError):  # of edits that overlap
            manifest = read(before.encoded(apply(before.text, self._edits)))
            if len(manifest.secrets) == len(before.secrets) and _texts(manifest.secrets[self._index]) == self._expected:
                return manifest
        raise ManifestError(
            "the change would alter more than it should in this layout",
            hint="ksecret decrypt, change it and encrypt it with --parent",
            line=before.secrets[self._index].line,
        )


def _texts(secret: Secret) -> dict[Place, str | None]:
    return {entry.place: entry.value for entry in secret.entries}


def _is_held(entry: Entry, opened: Opened, value: str) -> bool:
    """Tell whether the entry holds that value already, in whatever style."""
    place = entry.place
    now = opened.format.text(opened.values[place]) if place in opened.values else entry.value
    if now == value or entry.field != "data":
        return now == value
    try:
        return decode_base64(now) == decode_base64(value)
    except ValueError:  # other programs seal that under data, too
        return False


def _rewritten(text: str, entry: Entry, opened: Opened | None, value: str) -> Edit:
    """Return the edit that puts the value there, with the blank lines behind it that its token stood for as well."""
    edit = rewritten(text, entry, value)
    before = opened.values.get(entry.place) if opened else None
    below = opened.format.blank_lines(before) if opened and before is not None else ""
    return Edit(edit.start, edit.end, edit.new + below)
