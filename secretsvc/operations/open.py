"""Opening: sealed manifest → the bytes that were sealed, or nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from secretsvc import patience
from secretsvc.errors import AlteredError, InputError, KsecretError, ManifestError, NotSealedError
from secretsvc.formats.ksecret import envelope as ksecret
from secretsvc.formats.ksecret.crypto import Dek, Payload
from secretsvc.formats.ksecret.values import value_of, written
from secretsvc.manifest import lost
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import canonical, inside
from secretsvc.manifest.splice import Edit, apply, remove_member
from secretsvc.operations.result import Result
from secretsvc.tokens import SUFFIX, UNMERGED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Entry, Manifest, Secret
    from secretsvc.operations.keys import Keyring
    from secretsvc.operations.kubesec import Opened as KubesecOpened
    from secretsvc.operations.request import Unproven

    AnyOpened: TypeAlias = "Opened | KubesecOpened"
    Parents: TypeAlias = dict[tuple[str | None, str | None], AnyOpened]
    """Opened Secrets by namespace and name."""
    Trust: TypeAlias = Callable[[Unproven], bool]

    _Attempt: TypeAlias = Callable[[str, Entry, Payload], Edit]

Place = tuple[str, str]
"""(field, key) of an entry."""

Unsealed: TypeAlias = "tuple[Manifest, Mapping[int, Mapping[Place, Payload]]]"
"""A manifest, of which an outline will do, and what was sealed in its Secrets, by index."""


class Opened(NamedTuple):
    """One Secret opened: its DEK, its envelope, and the payload and token of each sealed entry."""

    dek: Dek
    envelope: ksecret.Envelope
    payloads: dict[Place, Payload]
    tokens: dict[Place, str]

    @property
    def format(self) -> str:
        return "ksecret"

    @property
    def refs(self) -> Keyset:
        return self.envelope.refs

    def __repr__(self) -> str:
        return "Opened(masked)"


def open_manifest(data: bytes, keyring: Keyring) -> Result:
    """The manifest with every sealed Secret opened; Secrets in the clear stay as they are.

    Raises NotSealedError where nothing is sealed, AlteredError, NoKeyError, BackendError, ManifestError.
    """
    manifest = read(data)
    opened = open_secrets(manifest, keyring)
    manifest = manifest.outline()  # what is restored is read again
    return Result(restored(manifest, opened).data, len(opened), bound=not manifest.is_kubesec)


def open_secrets(
    manifest: Manifest, keyring: Keyring, trust: Trust | None = None, only: int | None = None
) -> dict[int, AnyOpened]:
    """Every sealed Secret of a manifest, or one, by index. `trust`: see `Request`. Raises as `open_manifest`."""
    if manifest.is_kubesec:
        from secretsvc.operations import kubesec

        return {0: kubesec.open_file(manifest, keyring, trust)}
    refuse_lost(manifest)
    opened: dict[int, AnyOpened] = {
        index: open_secret(manifest.secrets[index], keyring)
        for index in (range(len(manifest.secrets)) if only is None else (only,))
        if manifest.secrets[index].envelope
    }
    if not opened and only is not None and any(secret.envelope for secret in manifest.secrets):
        raise NotSealedError(f"{manifest.secrets[only].label} is not sealed", hint="ksecret encrypt seals it")
    if not opened:
        raise nothing_sealed(manifest)
    return opened


def nothing_sealed(manifest: Manifest) -> KsecretError:
    """For a manifest without a sealed Secret in it: what it is instead, and the way out."""
    from secretsvc.manifest import foreign  # only to tell what is wrong

    return foreign.nothing_sealed(manifest)


def nothing_sealed_in(data: bytes) -> KsecretError:
    """The same of bytes. Raises ManifestError where they can't be read."""
    return nothing_sealed(read(data, allow_binary_tag=True))


def refuse_lost(manifest: Manifest) -> None:
    """Raises AlteredError for sealed text in it that would pass for clear text: nobody is to be handed that."""
    for found in lost.in_manifest(manifest):
        raise AlteredError(found.message, hint=found.hint, line=found.line)


def refuse_lost_in(data: bytes) -> None:
    """The same of bytes that have none of the formats' markers. What can't be read is left to whoever gets it.

    Raises AlteredError.
    """
    try:
        manifest = read(data, allow_binary_tag=True)
    except ManifestError:
        return
    refuse_lost(manifest)


def refuse_no_manifest(data: bytes) -> None:
    """Raises InputError for bytes that are no manifest, and so nothing to hand to kubectl."""
    from secretsvc.manifest import foreign

    found = foreign.no_manifest(data) or foreign.conflict(data)
    if found:
        raise InputError(found.message, hint=found.hint, line=found.line)


def restored(manifest: Manifest, opened: Mapping[int, AnyOpened]) -> Manifest:
    """The manifest with these Secrets in the clear, read again. Raises AlteredError where they can't be written back.

    Of the sealed one, an outline will do.
    """
    if manifest.is_kubesec:
        from secretsvc.operations import kubesec

        return kubesec.restore(manifest, opened[0].texts)  # type: ignore[union-attr]
    return restore(manifest, {index: one.payloads for index, one in opened.items() if isinstance(one, Opened)})


def open_parents(data: bytes, keyring: Keyring) -> Parents:
    """The sealed Secrets of a manifest, to seal others after. Raises as `open_manifest`."""
    manifest = read(data)
    opened = open_secrets(manifest, keyring)
    return {(manifest.secrets[index].namespace, manifest.secrets[index].name): one for index, one in opened.items()}


def parent_of(secret: Secret, parents: Parents) -> AnyOpened | None:
    """The parent of the same name and namespace, or the only one that there is."""
    only = next(iter(parents.values())) if len(parents) == 1 else None
    return parents.get((secret.namespace, secret.name), only)


def values_of(opened: AnyOpened) -> dict[Place, str]:
    """The text of every value, as it stood in the manifest."""
    if isinstance(opened, Opened):
        return {place: value_of(payload) for place, payload in opened.payloads.items()}
    return opened.texts


def open_secret(
    secret: Secret, keyring: Keyring, *, allow_clear: bool = False, moved: bool = False, retyped: bool = False
) -> Opened:
    """One sealed Secret's DEK and payloads, everything checked before any value is used.

    `allow_clear` passes over entries without a token, which resealing then seals; `moved` over a name or namespace,
    `retyped` over a type that is not the one it was sealed for (one of Kubernetes' own), which resealing then gives it.
    """
    assert secret.envelope
    envelope = ksecret.read(secret.envelope)
    if not moved:
        ksecret.check_bound(envelope.sealed_for, secret)
    if not allow_clear:
        for entry in secret.entries:
            if not ksecret.is_token(entry.value):
                raise AlteredError(
                    f"{entry.path} is not sealed, in a Secret that is",
                    hint="ksecret encrypt seals it too; or restore the file from Git",
                    line=entry.scalar.line,
                )
    dek = Dek(keyring.unwrap(envelope.keys, ksecret.context(envelope.sealed_for)))
    before = _type_before(dek, secret, envelope)
    if before and not retyped:
        raise AlteredError(
            f"{secret.label} was sealed as a Secret of type {before}: its type was changed",
            hint="if that was meant: ksecret rename --type TYPE FILE seals it for its new type",
            line=secret.line,
        )
    return opened_with(dek, secret._replace(type=before or secret.type), envelope)


def _type_before(dek: Dek, secret: Secret, envelope: ksecret.Envelope) -> str:
    """The type that the seal was made for, where it is one of Kubernetes' own, and not the Secret's; else empty."""
    sealed = envelope.created, list(envelope.keys)
    types = (secret.type, *ksecret.TYPES)
    found = (type_ for type_ in types if dek.seal_fits(envelope.seal, envelope.sealed_for, type_, *sealed))
    before = next(found, "")
    return "" if before == secret.type else before


def opened_with(dek: Dek, secret: Secret, envelope: ksecret.Envelope) -> Opened:
    """The same with a DEK at hand. Raises AlteredError with the line of what does not fit."""
    assert secret.envelope
    payloads: dict[Place, Payload] = {}
    tokens: dict[Place, str] = {}
    line = secret.envelope.key.line
    try:
        dek.check_seal(envelope.seal, envelope.sealed_for, secret.type, envelope.created, list(envelope.keys))
        for entry in secret.entries:
            patience.check()
            line = entry.scalar.line
            if ksecret.is_token(entry.value):
                place = (entry.field, entry.key)
                tokens[place] = ksecret.token(entry)
                payloads[place] = dek.open_value(tokens[place], envelope.sealed_for, *place)
    except AlteredError as error:
        error.line = line
        if error.entry.endswith(SUFFIX):
            error.hint = (
                f"{UNMERGED}: ksecret git resolve --ours or --theirs; or keep one of the two, under its own name"
            )
        raise
    return Opened(dek, envelope, payloads, tokens)


def restore(manifest: Manifest, payloads: Mapping[int, Mapping[Place, Payload]]) -> Manifest:
    """The manifest with the given Secrets' envelopes taken out and their values back in place.

    The shell in the file is not trusted: the text is read again and must hold exactly the sealed values.
    Where a shell was changed meanwhile, its value is written in a canonical style instead.
    Raises AlteredError where even that does not give the sealed values.
    """
    for attempt in (_as_sealed, _canonical_where_restyled, _canonical):
        try:
            clear = read(manifest.encoded(_attempted(manifest, payloads, attempt)))
            if _holds(clear, manifest, payloads):
                return clear
        except (ManifestError, ValueError):
            continue
    raise AlteredError(
        "the sealed values can't be written back where the tokens stand", hint="restore the file from Git"
    )


def restore_alike(sealed: Unsealed, clear: Unsealed) -> bool:
    """Whether both restore to the same bytes. Raises AlteredError where one can't be restored.

    Where the first attempt gives both the same text, that is read but once; and not at all where it is the text of
    `clear` itself, which was read.
    """
    with suppress(ManifestError, ValueError):
        text, other = (_attempted(*side, _as_sealed) for side in (sealed, clear))
        if text == other:
            now = clear[0] if text == clear[0].text else read(clear[0].encoded(text))
            if _holds(now, *sealed) and _holds(now, *clear):
                return True
    return restore(*sealed).data == restore(*clear).data


def _attempted(manifest: Manifest, payloads: Mapping[int, Mapping[Place, Payload]], attempt: _Attempt) -> str:
    edits = (edit for index, own in payloads.items() for edit in _edits(manifest, index, own, attempt))
    return apply(manifest.text, edits)


def _edits(manifest: Manifest, index: int, payloads: Mapping[Place, Payload], attempt: _Attempt) -> Iterator[Edit]:
    secret = manifest.secrets[index]
    for entry in secret.entries:
        payload = payloads.get((entry.field, entry.key))
        if payload:
            yield attempt(manifest.text, entry, payload)
    if secret.envelope:
        yield remove_member(manifest.text, secret.root, secret.envelope)


def _as_sealed(text: str, entry: Entry, payload: Payload) -> Edit:
    place = inside(text, entry)
    return Edit(place.start, place.end, written(payload, place))


def _canonical_where_restyled(text: str, entry: Entry, payload: Payload) -> Edit:
    same = inside(text, entry).shell.rstrip("+-") == payload.shell.rstrip("+-")
    return (_as_sealed if same else _canonical)(text, entry, payload)


def _canonical(text: str, entry: Entry, payload: Payload) -> Edit:
    place = inside(text, entry)
    end = place.end + (1 if place.shell in ("'", '"') else 0)
    return Edit(entry.scalar.start, end, canonical(value_of(payload), flow=entry.flow))


def _holds(restored: Manifest, sealed: Manifest, payloads: Mapping[int, Mapping[Place, Payload]]) -> bool:
    """Whether it holds the same Secrets with the sealed values and nothing else changed.

    Raises ValueError where they are more or fewer.
    """
    for index, (now, before) in enumerate(zip(restored.secrets, sealed.secrets, strict=True)):
        own = payloads.get(index, {})
        expected = {
            (entry.field, entry.key): value_of(own[place])
            if (place := (entry.field, entry.key)) in own
            else entry.value
            for entry in before.entries
        }
        if {(entry.field, entry.key): entry.value for entry in now.entries} != expected:
            return False
        if (now.namespace, now.name, now.type) != (before.namespace, before.name, before.type):
            return False
    return True
