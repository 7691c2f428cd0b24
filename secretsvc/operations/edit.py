"""A sealed manifest as a person edits it: values decoded, and back without touching what stayed the same."""

from __future__ import annotations

from traceback import clear_frames

from secretsvc import formats
from secretsvc.errors import InputError, KsecretError, ManifestError
from secretsvc.formats import lost
from secretsvc.manifest import nodes, rules
from secretsvc.manifest.model import decode_base64
from secretsvc.manifest.nodes import Member
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import inside, replaced
from secretsvc.manifest.splice import Edit, apply
from secretsvc.operations.clear_rest import ClearBefore
from secretsvc.operations.edit_slips import Names, held_lines, refuse_commented, refuse_slips
from secretsvc.operations.open import open_secrets, restored
from secretsvc.operations.prepare import decodings, encodings, with_typed_encoded
from secretsvc.operations.seal import Pending
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from secretsvc.formats.base import Opened
    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Entry, Manifest
    from secretsvc.operations import Result
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request


class Draft(Record):
    """A sealed manifest, opened for somebody to edit. Of its trees, what is asked of them later is left."""

    sealed: Manifest
    """An outline."""
    opened: Mapping[int, Opened]
    clear: Manifest
    """An outline."""
    names: Names
    held: set[str]
    """The lines of `shown` that hold a value, but for those that were comments already."""
    before: ClearBefore
    """What of it was in the clear while it was sealed."""
    shown: bytes
    """What the editor gets: values under `data` as text, those that are no text as `!!binary` base64."""

    def __repr__(self) -> str:
        return "Draft(masked)"


def open_draft(data: bytes, request: Request, keyring: Keyring, *, decoded: bool = True) -> Draft:
    """Opens every sealed Secret. `decoded`: false keeps base64 under `data`. Raises as `open_manifest`."""
    manifest = read(data)
    opened = open_secrets(manifest, keyring, request.trust)
    before = ClearBefore(manifest)
    manifest = formats.outline(manifest)  # what is restored is read again
    clear = restored(manifest, opened)
    edits = _decodings(clear) if decoded else []
    names, held = Names.of(clear), before.without_comments(held_lines(clear, edits))
    clear = formats.outline(clear)
    return Draft(manifest, opened, clear, names, held, before, clear.encoded(apply(clear.text, edits)))


def new_draft(clear: bytes) -> Draft:
    """A manifest that is still to be filled in; its `data` is to hold text. Raises ManifestError."""
    manifest = read(clear)
    before = ClearBefore(manifest)
    return Draft(
        manifest, {}, manifest, Names.of(manifest), before.without_comments(held_lines(manifest, [])), before, clear
    )


def keysets_of(draft: Draft, request: Request) -> list[tuple[str, Keyset]]:
    """Return each Secret's label and the keys that it will be sealed to, as far as its text stays what it is.

    Raises KeyRefError, InputError.
    """
    like = _like_neighbours(request, draft)
    format_ = request.format or formats.DEFAULT
    secrets = enumerate(draft.sealed.secrets)
    held = ((draft.opened[index].refs if index in draft.opened else (), secret) for index, secret in secrets)
    return [(secret.label, like.wanted(refs, secret, format_)) for refs, secret in held]


def _decodings(clear: Manifest) -> list[Edit]:
    try:
        return decodings(clear)
    except ManifestError as error:
        if clear.is_json:
            error.hint = "JSON has no way to show them; --base64 edits base64"
        raise


def seal_draft(draft: Draft, edited: bytes, request: Request, keyring: Keyring, *, decoded: bool = True) -> Result:
    """The edited text sealed again: under the same DEKs, with the same tokens for the same values, keys in place.

    A Secret that was sealed and has another name now gets a new DEK. A new Secret is sealed as its neighbours are.
    Raises ManifestError, InputError, and what sealing raises; lines are those of `edited`.
    """
    half_sealed = b""
    try:
        partners, half_sealed = _prepared(draft, edited, decoded=decoded)
        opened = {index: draft.opened[old] for index, old in partners.items()}
        gone = {_who(draft, old): one for old, one in draft.opened.items() if old not in partners.values()}
        like = _like_neighbours(request, draft)
        half = read(half_sealed)
        pending = Pending(half, like, keyring, opened=opened, others=True, gone=gone, before=draft.before)
        del half  # the proof reads another tree
        refuse_commented(draft.held, pending.in_clear)
        return pending.proven()
    except KsecretError as error:
        if not error.file:  # a policy's
            clear_frames(error.__traceback__)  # they hold trees, and two texts are to be read now
            error.line = _typed_line(error.line, half_sealed, edited) if half_sealed else error.line
        raise


def _prepared(draft: Draft, edited: bytes, *, decoded: bool) -> tuple[dict[int, int], bytes]:
    """Return which Secret is which, and what was typed with tokens and envelopes again; nothing of its tree is kept."""
    clear = with_typed_encoded(read(edited, allow_binary_tag=True)) if decoded else read(edited)
    _refuse_mistakes(draft, clear)
    partners = _partners(draft, clear)
    return partners, _half_sealed(draft, clear, partners, decoded=decoded)


def _refuse_mistakes(draft: Draft, clear: Manifest) -> None:
    """Told before anything is sealed. Raises ManifestError."""
    for secret in clear.secrets:
        if secret.entries and not formats.of(clear).envelope(secret):
            lost.refuse(secret)
            rules.check_secret(secret)
    refuse_slips(draft.names, clear)


def _half_sealed(draft: Draft, clear: Manifest, partners: Mapping[int, int], *, decoded: bool) -> bytes:
    """Return what was typed, encoded, with the tokens of what stayed the same and the envelopes in it again."""
    encoded = {edit.start: edit for edit in encodings(clear)} if decoded else {}
    edits = dict(encoded)
    for index, old in partners.items():
        edits |= {edit.start: edit for edit in _tokens_again(draft, clear, index, old, encoded)}
    envelopes = [edit for index, old in partners.items() for edit in _envelope_again(draft, clear, index, old, encoded)]
    return clear.encoded(apply(clear.text, [*edits.values(), *envelopes]))


def _who(draft: Draft, old: int) -> tuple[str | None, str | None]:
    return draft.sealed.secrets[old].namespace, draft.sealed.secrets[old].name


def _like_neighbours(request: Request, draft: Draft) -> Request:
    if not draft.opened:
        return request
    keys = next(iter(draft.opened.values())).refs
    return request._replace(default_keys=lambda *_: keys)


def _typed_line(line: int, half_sealed: bytes, edited: bytes) -> int:
    """A line of what was being sealed → the same place in what was typed; 0 where that can't be told."""
    if not line:
        return 0
    typed = formats.outline(read(edited, allow_binary_tag=True))
    try:
        now = formats.outline(read(half_sealed))
    except ManifestError:
        return 0
    moved = 0
    for entry, before in zip(_in_order(now), _in_order(typed), strict=True):
        if entry.scalar.line < line:
            moved += _height(typed, before) - _height(now, entry)
    for secret in now.secrets:
        envelope = formats.of(now).envelope(secret)
        if envelope and envelope.key.line < line:
            start = envelope.key.start
            moved -= now.text.count("\n", start, envelope.value.end)
            moved -= now.text[:start].rstrip(" ").endswith("\n")  # and the line break that came with it
    return line + moved


def _in_order(manifest: Manifest) -> list[Entry]:
    entries = [entry for secret in manifest.secrets for entry in secret.entries]
    return sorted(entries, key=lambda entry: entry.scalar.start)


def _height(manifest: Manifest, entry: Entry) -> int:
    """Line breaks in the scalar; a block's last one counts, for it ends the block."""
    return len(manifest.text[entry.scalar.start : entry.scalar.end].rstrip("\r\n").split("\n")) - 1


def _partners(draft: Draft, clear: Manifest) -> dict[int, int]:
    """Index of each edited Secret → index of the sealed one that it was: that of its name, or the one that is left.

    Raises InputError where the format can't hold them.
    """
    before, now = draft.sealed.secrets, clear.secrets
    format_ = formats.of(draft.sealed)
    if format_.whole_file and len(now) != 1:
        raise InputError(f"{format_.label} holds one Secret per file", hint="ksecret convert --to ksecret lifts that")
    free = dict.fromkeys(range(len(before)))
    partners = {}
    for index, secret in enumerate(now):
        same = (old for old in free if (before[old].namespace, before[old].name) == (secret.namespace, secret.name))
        old = next(same, None)
        if old is not None:
            partners[index] = old
            del free[old]
    renamed = [index for index in range(len(now)) if index not in partners]
    if len(renamed) == len(free):
        partners |= zip(renamed, free, strict=True)
    return {index: old for index, old in sorted(partners.items()) if old in draft.opened}


def _tokens_again(draft: Draft, clear: Manifest, index: int, old: int, encoded: Container[int]) -> Iterator[Edit]:
    """Put what stayed the same back to its token, in the shell that it had. `encoded`: where texts become base64."""
    secret, opened = clear.secrets[index], draft.opened[old]
    sealed = {entry.place: entry for entry in draft.sealed.secrets[old].entries}
    values = {entry.place: entry.value for entry in draft.clear.secrets[old].entries}
    for entry in secret.entries:
        place = entry.place
        if place in opened.tokens and _same(entry, values[place]):
            is_whole = entry.scalar.start in encoded  # with no blank lines in it: nothing but what it stands for
            yield _token_again(draft, clear, entry, sealed[place], is_whole=is_whole)


def _envelope_again(draft: Draft, clear: Manifest, index: int, old: int, encoded: Mapping[int, Edit]) -> list[Edit]:
    """The envelope back, behind the Secret's last value as that ends once it is encoded."""
    secret, opened = clear.secrets[index], draft.opened[old]
    if secret.root.members:
        key, value = secret.root.members[-1]
        last = value.members[-1].value if isinstance(value, nodes.Mapping) and not value.flow else value
        if last.start in encoded:
            members = [Member(key, value._replace(end=encoded[last.start].end))]
            secret = secret._replace(root=secret.root._replace(members=members))
    return opened.format.put(clear, secret, opened.sealed.own)


def _same(entry: Entry, value: str) -> bool:
    if entry.value == value:
        return True
    try:
        return entry.field == "data" and decode_base64(entry.value) == decode_base64(value)
    except ValueError:
        return False  # sealing says what is wrong with it


def _token_again(draft: Draft, clear: Manifest, entry: Entry, sealed: Entry, *, is_whole: bool) -> Edit:
    source = draft.sealed.text[sealed.scalar.start : sealed.scalar.end].rstrip("\r\n")
    if sealed.scalar.style in ("|", ">") and (entry.flow or entry.column != sealed.column):
        source = sealed.value.rstrip("\n")
    elif sealed.scalar.style in ("|", ">") and entry.scalar.style in ("|", ">") and not is_whole:
        return Edit(entry.scalar.start, inside(clear.text, entry).end, source)  # blank lines are in the token
    return replaced(clear.text, entry, source)
