"""A sealed manifest as a person edits it: values decoded, and back without touching what stayed the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsvc.errors import InputError
from secretsvc.formats import ksecret
from secretsvc.manifest.reader import read
from secretsvc.manifest.rules import decode_base64
from secretsvc.manifest.scalars import replaced
from secretsvc.manifest.splice import Edit, append_member, apply
from secretsvc.operations.open import Opened, open_secrets, restored
from secretsvc.operations.prepare import decode_data, encode_cleartext
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.operations.keys import Keyring
    from secretsvc.operations.open import AnyOpened, Result
    from secretsvc.operations.request import Request


class Draft(NamedTuple):
    """A sealed manifest, opened for somebody to edit."""

    sealed: Manifest
    opened: Mapping[int, AnyOpened]
    clear: Manifest
    shown: bytes
    """What the editor gets: values under `data` as text, those that are no text as `!!binary` base64."""

    def __repr__(self) -> str:
        return "Draft(masked)"


def open_draft(data: bytes, request: Request, keyring: Keyring, *, decoded: bool = True) -> Draft:
    """Opens every sealed Secret. `decoded`: false keeps base64 under `data`. Raises as `open_manifest`."""
    manifest = read(data)
    opened = open_secrets(manifest, keyring, request.trust)
    clear = restored(manifest, opened)
    return Draft(manifest, opened, read(clear), decode_data(clear) if decoded else clear)


def seal_draft(draft: Draft, edited: bytes, request: Request, keyring: Keyring, *, decoded: bool = True) -> Result:
    """The edited text sealed again: under the same DEKs, with the same tokens for the same values, keys in place.

    A Secret that was sealed and has another name now gets a new DEK. A new Secret is sealed as its neighbours are.
    Raises ManifestError, InputError, and what sealing raises.
    """
    clear = read(encode_cleartext(edited) if decoded else edited)
    partners = _partners(draft, clear)
    edits = [edit for index, old in partners.items() for edit in _edits(draft, clear, index, old)]
    half_sealed = clear.encoded(apply(clear.text, edits))
    opened = {index: draft.opened[old] for index, old in partners.items()}
    keys = next(iter(draft.opened.values())).refs
    return seal_manifest(
        half_sealed, request._replace(default_keys=lambda *_: keys), keyring, opened=opened, others=True
    )


def _partners(draft: Draft, clear: Manifest) -> dict[int, int]:
    """Index of each edited Secret → index of the sealed one that it was. Raises InputError where that can't be told."""
    before, now = draft.sealed.secrets, clear.secrets
    if draft.sealed.is_kubesec and len(now) != 1:
        raise InputError("kubesec's format holds one Secret per file", hint="ksecret convert --to ksecret lifts that")
    if len(before) == len(now):
        return {index: index for index in draft.opened}
    names = {(secret.namespace, secret.name): index for index, secret in enumerate(before)}
    found = {index: names.get((secret.namespace, secret.name), -1) for index, secret in enumerate(now)}
    return {index: old for index, old in found.items() if old in draft.opened}


def _edits(draft: Draft, clear: Manifest, index: int, old: int) -> Iterator[Edit]:
    """What stayed the same back to its token, in the shell that it had; and the envelope back."""
    secret, opened = clear.secrets[index], draft.opened[old]
    sealed = {(entry.field, entry.key): entry for entry in draft.sealed.secrets[old].entries}
    values = {(entry.field, entry.key): entry.value for entry in draft.clear.secrets[old].entries}
    for entry in secret.entries:
        place = (entry.field, entry.key)
        if place in opened.tokens and _same(entry, values[place]):
            yield _token_again(draft, clear, entry, sealed[place])
    if isinstance(opened, Opened):
        yield _envelope(clear, secret, opened)
    else:
        from secretsvc.formats import kubesec

        yield from kubesec.put(clear.text, opened.envelope)


def _same(entry: Entry, value: str) -> bool:
    if entry.value == value:
        return True
    try:
        return entry.field == "data" and decode_base64(entry.value) == decode_base64(value)
    except ValueError:
        return False  # sealing says what is wrong with it


def _token_again(draft: Draft, clear: Manifest, entry: Entry, sealed: Entry) -> Edit:
    source = draft.sealed.text[sealed.scalar.start : sealed.scalar.end].rstrip("\r\n")
    if sealed.scalar.style in ("|", ">") and (entry.flow or entry.column != sealed.column):
        source = sealed.value.rstrip("\n")
    return replaced(clear.text, entry, source)


def _envelope(clear: Manifest, secret: Secret, opened: Opened) -> Edit:
    return append_member(clear.text, secret.root, lambda layout: ksecret.render(opened.envelope, layout))
