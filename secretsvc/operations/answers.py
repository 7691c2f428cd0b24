"""Checks that a service answered what it was asked for: made without a key, before it takes a file's place.

Who has no key can't tell what a token holds. All else can be told: that every value is a token, that the text around
them is the same, whom it is sealed to and what for, and which tokens stayed and which did not.
"""

from __future__ import annotations

import re

from secretsvc import formats
from secretsvc.errors import BackendError, KsecretError
from secretsvc.formats.base import token_of
from secretsvc.keyref import KeyGroups, keyset
from secretsvc.manifest.model import decode_strict
from secretsvc.manifest.reader import read
from secretsvc.manifest.splice import Edit, apply
from secretsvc.operations.get import pick
from secretsvc.operations.patch import with_changes
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from secretsvc.formats.base import Format, Place, Sealed
    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.operations.request import Changes

_VALUE = "\0"
"""What stands for a value where texts are compared: no manifest has that character."""


class _Shown(Record):
    """The marks that a sealed Secret shows."""

    format: Format
    sealed: Sealed
    keys: dict[tuple[int, str], str]
    """Group and KeyRef → the wrapped DEK, or share, as it is written. All are others where the DEK is another."""
    tokens: dict[Place, str]

    @property
    def is_for(self) -> tuple[str, str]:
        """The format, and what it is bound to."""
        return self.format.name, self.sealed.sealed_for

    @property
    def holders(self) -> Keyset:
        """Whom it is sealed to."""
        return self.sealed.refs

    @property
    def shown(self) -> tuple[object, ...]:
        """All that a text tells of it, but for the wrapped DEKs."""
        return *self.is_for, self.holders, self.sealed.created, self.sealed.proof, self.tokens

    @property
    def whole(self) -> tuple[object, ...]:
        """All that a text tells of it, wherever in the text it stands."""
        return *self.shown, self.keys

    def __repr__(self) -> str:
        return f"_Shown({self.format.name}, masked)"


class _Pair(Record):
    """One Secret as it was sent and as it came back, and how each was sealed, if it was."""

    old: Secret
    new: Secret
    was: _Shown | None
    sealing: _Shown | None

    def refusal(self, what: str, entry: str = "") -> BackendError:
        return refusal(f"is not what was asked for: {self.old.label} {what}", entry)

    def __repr__(self) -> str:
        return f"_Pair({self.old.label}, masked)"


def check_opened(before: Manifest, answer: bytes) -> None:
    """Check that it is the manifest that was sent, with nothing in it sealed. Raises BackendError."""
    now = _read(answer)
    _check_rest(before, now, comments=False)  # a block's goes where the block is written in another style
    for pair in _pairs(before, now):
        if pair.sealing or any(formats.of(now).is_whole(entry.value) for entry in pair.new.entries):
            raise pair.refusal("is sealed still")
        if not pair.was:
            _check_untouched(pair)


def check_encrypted(before: Manifest, answer: bytes, keys: Keyset, scope: str, format_: str) -> None:
    """Check that all is sealed; what was not before, to `keys` (if any are named), in that scope and format.

    `scope` and `format_` are empty where none was asked for. Raises BackendError.
    """
    now = _read(answer)
    _check_rest(before, now)
    for pair in _pairs(before, now):
        if pair.was and len(pair.was.tokens) < len(pair.old.entries):
            _check_changed(pair, ())
        elif pair.was:
            _check_untouched(pair)
        elif pair.sealing:
            _check_fresh(pair, keys, scope, format_)
        elif pair.new.entries:
            raise pair.refusal("is not sealed")


def check_rotated(before: Manifest, answer: bytes) -> None:
    """Check that what was sealed has new DEKs and tokens, for the same keys. Raises BackendError."""
    now = _read(answer)
    _check_rest(before, now)
    for pair in _pairs(before, now):
        if not pair.was:
            _check_untouched(pair)
            continue
        if not _is_renewed(*_same_holders(pair)):
            raise pair.refusal("has not got a new data key")


def check_rewrapped(before: Manifest, answer: bytes) -> None:
    """Check that nothing but wrapped DEKs is another. Raises BackendError."""
    now = _read(answer)
    _check_rest(before, now)
    for pair in _pairs(before, now):
        if not pair.was:
            _check_untouched(pair)
        elif _same_holders(pair)[1].shown != pair.was.shown:
            raise pair.refusal("has another data key, or other tokens")


def check_set(before: Manifest, answer: bytes, changes: Changes, which: str) -> None:
    """Check that the one Secret has these entries, sealed, and the rest is as it was.

    `which`: as `patch_manifest`. Raises BackendError, and InputError for changes that can't be made.
    """
    now = _read(answer)
    index = pick(before, which)
    _check_rest(with_changes(before, index, changes), now)
    for at, pair in enumerate(_pairs(before, now)):
        if at == index:
            _check_changed(pair, changes.values)
        else:
            _check_untouched(pair)


def _read(answer: bytes) -> Manifest:
    try:
        return read(answer)
    except KsecretError:  # whose line is none of the file's
        raise refusal("is no manifest") from None


def _pairs(before: Manifest, now: Manifest) -> Iterator[_Pair]:
    for old, new in zip(before.secrets, now.secrets, strict=True):
        yield _Pair(old, new, _sealing(before, old), _answered(now, new))


def _answered(now: Manifest, secret: Secret) -> _Shown | None:
    try:
        return _sealing(now, secret)
    except KsecretError:
        raise refusal(f"is not what was asked for: {secret.label} has an envelope that is none") from None


def _sealing(manifest: Manifest, secret: Secret) -> _Shown | None:
    """Return how it is sealed; None where it is not. Raises InputError, AlteredError."""
    format_ = formats.of(manifest)
    if not format_.is_sealed(manifest, secret):
        return None
    sealed = format_.read(manifest, secret)
    tokens = {entry.place: token_of(entry) for entry in secret.entries if format_.is_whole(entry.value)}
    return _Shown(format_, sealed, {(key.group, str(key.ref)): key.source for key in sealed.keys}, tokens)


def _check_rest(before: Manifest, now: Manifest, *, comments: bool = True) -> None:
    """Check that all but values and envelopes is the same text. Raises BackendError."""
    if [_identity(one) for one in before.secrets] != [_identity(one) for one in now.secrets]:
        raise refusal("is not this manifest")
    if _rest(before, comments=comments) != _rest(now, comments=comments):
        raise refusal("is this manifest with other changes in it than were asked for")


def _identity(secret: Secret) -> tuple[str | None, str | None, str, list[Place]]:
    """The entries' names are in the text, too; but a value could add one, and an alias give a name."""
    return secret.namespace, secret.name, secret.type, [entry.place for entry in secret.entries]


def _rest(manifest: Manifest, *, comments: bool) -> str:
    """The text without envelopes, and with one sign for each value, however it was written."""
    text, format_ = manifest.text, formats.of(manifest)
    edits = []
    for secret in manifest.secrets:
        for _, _, scalar, *_ in secret.entries:
            written = text[scalar.start : scalar.end].rstrip(" \t\r\n")
            header = re.match(r"[|>][-+0-9]*([ \t]+#[^\r\n]*)?", written) if scalar.style in ("|", ">") else None
            below = f"{(header[1] or '').rstrip()}\n" if header else ""
            edits.append(Edit(scalar.start, scalar.start + len(written), _VALUE + below))
        if format_.is_sealed(manifest, secret):
            edits += format_.removed(text, secret)
    rest = apply(text, list(dict.fromkeys(edits)))
    if not comments:
        rest = re.sub(f"{_VALUE}[ \t]+#[^\r\n]*", _VALUE, rest)
    # A block's blank lines, and the spaces before it, are the style's.
    return re.sub(rf"(?<![ \t])[ \t]*+{_VALUE}([ \t]+#[^\r\n]*)?([ \t]*(\r\n|\r|\n))*([ \t]+\Z)?", rf"{_VALUE}\1", rest)


def _check_untouched(pair: _Pair) -> None:
    """Check that a Secret that nothing was asked for is as it was. Raises BackendError."""
    values = [[entry.value for entry in secret.entries] for secret in (pair.old, pair.new)]
    if (pair.was and pair.was.whole) != (pair.sealing and pair.sealing.whole) or values[0] != values[1]:
        raise pair.refusal("is another, and no change of it was asked for")


def _check_fresh(pair: _Pair, keys: Keyset, scope: str, format_: str) -> None:
    sealing = _closed(pair)
    if sealing.format != formats.named(format_):
        raise pair.refusal("is sealed in another format")
    if sealing.sealed.sealed_for != sealing.format.bind(pair.new, scope, None):
        raise pair.refusal("is sealed for something else")
    if keys and sealing.holders != (keys if isinstance(keys, KeyGroups) else keyset(keys)):
        raise pair.refusal("is sealed to other keys")


def _check_changed(pair: _Pair, changed: Container[str]) -> None:
    """Check that only entries of those names and what was in the clear are sealed anew; or all, under a new DEK."""
    was, sealing = _same_holders(pair)
    if _is_renewed(was, sealing):
        return
    kept = {place: token for place, token in was.tokens.items() if place[1] not in changed}
    same_key = sealing.keys == was.keys and (sealing.sealed.proof == was.sealed.proof or was.format.proves_values)
    if not (same_key and kept.items() <= sealing.tokens.items()):
        raise pair.refusal("has other tokens than those that were to change")


def _same_holders(pair: _Pair) -> tuple[_Shown, _Shown]:
    """Return how it was sealed and is now: all of it, for the same keys and the same name. Raises BackendError."""
    was, sealing = pair.was, _closed(pair)
    assert was
    if sealing.holders != was.holders:
        raise pair.refusal("is sealed to other keys")
    if sealing.is_for != was.is_for:
        raise pair.refusal("is sealed for something else, or in another format")
    return was, sealing


def _closed(pair: _Pair) -> _Shown:
    """Return how it is sealed now. Raises BackendError where a value of it is in the clear, or a DEK is no base64."""
    if not pair.sealing:
        raise pair.refusal("is not sealed")
    for entry in pair.new.entries:
        if entry.place not in pair.sealing.tokens:
            raise pair.refusal("is not sealed", f"{entry.field}/{entry.key}")
    for wrapped in pair.sealing.keys.values():
        try:
            decode_strict(wrapped or "=")
        except ValueError:
            raise pair.refusal("has a data key that nobody can unwrap") from None
    return pair.sealing


def _is_renewed(was: _Shown, sealing: _Shown) -> bool:
    """Tell whether the DEK is another, and no token is an old one, or there twice."""
    tokens = list(sealing.tokens.values())
    return (
        not set(was.keys.values()) & set(sealing.keys.values())
        and not set(was.tokens.values()) & set(tokens)
        and len(set(tokens)) == len(tokens)
    )


def refusal(what: str, entry: str = "") -> BackendError:
    """Return the error for a service's answer, of which `what` is said."""
    hint = "nothing of it was written; is there a proxy that mixes answers up, or is this the right service?"
    return BackendError(f"the service's answer {what}", hint=hint, entry=entry)
